"""
`kubectl_complete-ml`: completion in the protocol that kubectl speaks with its plugins.

kubectl calls it with what stands after `kubectl ml`, the word to complete last (perhaps empty),
and reads a line `value<TAB>description` for each offer and a last line with a directive of
cobra's. https://github.com/kubernetes/sample-cli-plugin#shell-completion

    $ kubectl_complete-ml ver
    version<TAB>Print the version of the plugin
    :4
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import ShellComplete

from kubectl_ml.cli import cli

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# cobra's ShellCompDirective
COMPLETE_FILES = 0
ERROR = 1
NO_FILES = 4
DIRECTORIES = 16

_DIRECTIVES = {"file": COMPLETE_FILES, "dir": DIRECTORIES}


def answer(args: Sequence[str]) -> str:
    """Give all that kubectl is to read for `args`."""
    *before, incomplete = args or [""]
    try:
        offers = ShellComplete(cli, {}, "kubectl ml", "").get_completions(before, incomplete)
    except (click.ClickException, OSError):  # a file of policies that can't be read, say
        return f":{ERROR}\n"
    lines = [_line(offer) for offer in offers if offer.type == "plain"]
    return "".join([*lines, f":{_directive(offers)}\n"])


def _line(offer: CompletionItem) -> str:
    summary = (offer.help or "").split("\n")[0]
    return f"{offer.value}\t{summary}\n" if summary else f"{offer.value}\n"


def _directive(offers: Iterable[CompletionItem]) -> int:
    return next(
        (_DIRECTIVES[offer.type] for offer in offers if offer.type in _DIRECTIVES), NO_FILES
    )


def main() -> None:
    """Run `kubectl_complete-ml`."""
    sys.stdout.write(answer(sys.argv[1:]))
