"""Which manifests a command reads: `-f` and `-R`, and what they give."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from kubectl_ml import documents, flags, inputs
from kubectl_ml.documents import Document
from kubectl_ml.errors import Unreadable
from kubectl_ml.inputs import Input

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

_WHAT = "file, directory, URL or - (standard input) with manifests; can be repeated."
_SENTENCE = _WHAT[0].upper() + _WHAT[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What `-f` names: files, directories, URLs, standard input; false where it isn't given."""

    filenames: tuple[str, ...] = ()
    recursive: bool = False

    def __bool__(self) -> bool:
        return bool(self.filenames)

    def check(self) -> None:
        """Raise UsageError where standard input would be read twice."""
        if self.filenames.count(inputs.STDIN) > 1:
            raise click.UsageError("standard input (-f -) can be read only once")

    def inputs(self) -> Iterator[Input]:
        """Give each file that is to be read."""
        return inputs.inputs(self.filenames, recursive=self.recursive)

    def documents(self) -> Iterator[Document]:
        """Read all documents; raises Unreadable."""
        for each in self.inputs():
            with each.open(sys.stdin.buffer) as file:
                try:
                    yield from documents.read(file, each.name)
                except OSError as error:
                    reason = (error.strerror or str(error)).lower()
                    raise Unreadable(f"{each.name}: can't be read: {reason}") from error


class ManifestPath(flags.Word):
    """A file, directory or URL with manifests, or `-`."""

    name = "filename"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer files."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def options(command: Command) -> Command:
    """Add `-f` and `-R`; the command gets them as `files`."""
    return _option(_recursive(command), help=_SENTENCE)


def required(command: Command) -> Command:
    """Add the same for a command that reads nothing else."""
    return _option(_recursive(command), help=_SENTENCE, required=True)


def of_check(command: Command) -> Command:
    """Add `-f` alone, for `quota check`."""
    return _option(command, help=f"With check: {_WHAT}")


def _option(command: Command, **attributes: Any) -> Command:
    @wraps(command)
    def with_files(*args: Any, **given: Any) -> Any:
        files = Files(filenames=given.pop("filenames"), recursive=given.pop("recursive", False))
        return command(*args, files=files, **given)

    with_files = click.option(
        *("-f", "--filename", "filenames"),
        multiple=True,
        type=ManifestPath(),
        metavar="FILENAME",
        **attributes,
    )(with_files)
    return cast("Command", with_files)


def _recursive(command: Command) -> Command:
    return click.option(
        "-R", "--recursive", is_flag=True, help="Look into the directories below, too."
    )(command)
