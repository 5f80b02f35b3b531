"""
Where manifests come from: what `-f` and `-k` name becomes a row of open files.

`-f` takes what kubectl's takes: a file, a directory (`*.yaml`, `*.yml`, `*.json`, in order), a
URL, `-` for standard input, and several of them with commas between.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from kubectl_ml.errors import Unreadable

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file of manifests: what messages call it, and how it is opened."""

    name: str
    kind: str  # file, url, stdin or kustomization
    found: bool = False  # in a directory, and not named by the user

    @contextmanager
    def open(self, stdin: BinaryIO) -> Iterator[BinaryIO]:
        """Open it for reading."""
        match self.kind:
            case "stdin":
                yield stdin
            case "url":
                from kubectl_ml import fetch

                yield io.BytesIO(fetch.get(self.name))
            case "kustomization":
                from kubectl_ml import kubectl

                yield io.BytesIO(kubectl.kustomize(self.name))
            case _:
                with _opened(self.name) as file:
                    yield file


def inputs(filenames: Sequence[str], *, recursive: bool) -> Iterator[Input]:
    """Give every file that `-f` names, in order."""
    for name in _names(filenames):
        if name == STDIN:
            yield Input(name="standard input", kind="stdin")
        elif name.startswith(("http://", "https://")):
            yield Input(name=name, kind="url")
        elif os.path.isdir(name):
            yield from _directory(name, recursive=recursive)
        else:
            yield Input(name=name, kind="file")


def kustomization(directory: str) -> Iterator[Input]:
    """Give what `-k` names."""
    yield Input(name=directory, kind="kustomization")


def _names(filenames: Sequence[str]) -> Iterator[str]:
    for filename in filenames:
        if "," in filename and "://" not in filename and not os.path.exists(filename):
            yield from filename.split(",")
        else:
            yield filename


def _directory(path: str, *, recursive: bool) -> Iterator[Input]:
    found = list(_walk(path, recursive=recursive))
    if not found:
        raise Unreadable(
            f"{path}: no manifests in this directory: no file ends with {', '.join(SUFFIXES)}",
            hint="-k builds a kustomization"
            + ("" if recursive else ", -R looks into the directories below"),
        )
    for name in found:
        yield Input(name=name, kind="file", found=True)


def _walk(path: str, *, recursive: bool) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(path, error) from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from _walk(entry.path, recursive=True)
        elif entry.name.endswith(SUFFIXES) and not entry.is_dir():
            yield entry.path


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> Unreadable:
    if isinstance(error, FileNotFoundError):
        return Unreadable(
            f"{path}: no such file or directory",
            hint="-f takes a file, a directory, a URL, or - for standard input",
        )
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return Unreadable(f"{path}: can't be read: {reason}", hint="who owns it? try: ls -l")
