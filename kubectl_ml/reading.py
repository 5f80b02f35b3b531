"""
Many files at once: each document goes to who takes it, and what can't be read is gathered.

A folder holds more than manifests. One file that can't be read doesn't keep the others from being
read, and all that can't be are named together; what another tool wrote (a chart's values) is left
alone where it was found in a folder, and an error where it was named.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import click

from kubectl_ml import documents
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused, Unreadable
from kubectl_ml.inputs import Input
from kubectl_ml.progress import Progress

EVERY = 100  # documents between two looks at the progress bar


@dataclass(frozen=True, slots=True)
class Unread:
    """What wasn't read: with an error, or for being no manifest."""

    faults: list[Unreadable] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def warn(self, what: str) -> None:
        """Say that some documents are another tool's; `what` wasn't done with them."""
        if not self.foreign:
            return
        first, *others = self.foreign
        if others:
            said = f"{len(self.foreign)} documents are no Kubernetes objects and weren't {what}, as"
        else:
            said = f"a document is no Kubernetes object and wasn't {what}:"
        click.echo(f"Warning: {said} {first}", err=True)

    def complain(self, *, also: Sequence[str] = (), hint: str, unread: str) -> None:
        """Raise where something couldn't be read or is wrong; `unread`: the hint for the first."""
        if len(self.faults) == 1 and not also:
            raise self.faults[0]
        sentences = [
            f"{sentence} ({fault.hint})" if fault.hint else sentence
            for fault in self.faults
            for sentence in fault.sentences
        ]
        if sentences or also:
            raise Refused((*also, *sentences), hint=unread if sentences else hint)


def each(
    files: Iterable[Input],
    take: Callable[[Document], object],
    *,
    foreign: bool = False,
    so_far: Callable[[], str] = str,
) -> Unread:
    """
    Hand every document to `take`, with a progress bar on a terminal that ends with `so_far`.

    `foreign`: it gets what other tools wrote into a folder, too.
    """
    unread = Unread()
    progress = Progress(sys.stderr, live=sys.stderr.isatty())
    counted = _counted(take, progress, so_far) if sys.stderr.isatty() else take
    try:
        for file in files:
            try:
                _file(file, counted, unread, foreign=foreign)
            except Unreadable as error:
                unread.faults.append(error)
    finally:
        progress.clear()
    return unread


def _counted(
    take: Callable[[Document], object], progress: Progress, so_far: Callable[[], str]
) -> Callable[[Document], object]:
    numbers = itertools.count(1)

    def counted(document: Document) -> None:
        number = next(numbers) if document.value is not None else 0
        if number and number % EVERY == 0:
            progress.say(f"{number} documents{so_far()}")
        take(document)

    return counted


def watched(files: Iterable[Input]) -> Iterator[Input]:
    """Give every file, with a progress bar on a terminal."""
    live = sys.stderr.isatty()
    progress = Progress(sys.stderr, live=live)
    try:
        for number, file in enumerate(files):
            if live and number and number % EVERY == 0:
                progress.say(f"{number} files")
            yield file
    finally:
        progress.clear()


def _file(
    file: Input, take: Callable[[Document], object], unread: Unread, *, foreign: bool
) -> None:
    with file.open(sys.stdin.buffer) as stream:
        try:
            for document in documents.read(stream, file.name):
                if file.found and not foreign and _is_foreign(document):
                    unread.foreign.append(document.where)
                    continue
                try:
                    take(document)
                except Unreadable as error:
                    unread.faults.append(error)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Unreadable(f"{file.name}: can't be read: {reason}") from error


def _is_foreign(document: Document) -> bool:
    value = document.value
    if value is None:
        return False
    return not isinstance(value, dict) or not {"apiVersion", "kind"} & value.keys()
