"""
A click Group with kubectl's manners.

Commands are imported when they are called, not before; what goes wrong is one `error:` line and
one hint on stderr; the exit code says what kind of wrong it was.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kubectl_ml.errors import PluginError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

INTERRUPTED = 130  # 128 + SIGINT, what a shell expects
BROKEN_PIPE = 141  # 128 + SIGPIPE, what kubectl ends with in `kubectl get pods | head -1`

_SHORT_FLAG_WITH_EQUALS = re.compile(r"^(-[A-Za-z])=")
_VERBOSITY = re.compile(r"(?:-v|--v=)(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What the environment says of the terminal."""

    no_color: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One command: the module that has it as a function of the same name, and what it does."""

    module: str
    summary: str


class Program(click.Group):
    """The root command: `verbs` says which commands there are."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command in the order of the help text."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = getattr(import_module(verb.module), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begins with, or say which one was meant."""
        if args[0] not in self.verbs and not ctx.resilient_parsing:
            from kubectl_ml.suggest import did_you_mean

            near = did_you_mean(args[0], self.verbs)
            raise click.UsageError(f'unknown command "{args[0]}"{near}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for the help text without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in self.verbs.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without importing them, or the flags."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=verb.summary)
            for name, verb in self.verbs.items()
            if name.startswith(incomplete)
        ]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *_: Any,
        **extra: Any,
    ) -> NoReturn:
        """Run the program and end the process: the one place where every error arrives."""
        given = list(sys.argv[1:] if args is None else args)
        extra.pop("standalone_mode", None)
        extra.setdefault("obj", _terminal(os.environ))
        try:
            with self.make_context(
                prog_name or "kubectl ml", _without_equals(given), **extra
            ) as ctx:
                result = self.invoke(ctx)
            sys.stdout.flush()
            code = result if isinstance(result, int) else 0
        except click.exceptions.Exit as done:  # --help
            code = done.exit_code
        except (KeyboardInterrupt, click.Abort):
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001 -- the outermost handler
            code = _explain(error, verbosity=_verbosity(given))
        sys.exit(code)


def _explain(error: Exception, *, verbosity: int) -> int:
    """Say on stderr what went wrong, and give the exit code."""
    if verbosity >= 6:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    sentences, hint, code = _report(error)
    for sentence in sentences:
        click.echo(f"error: {sentence}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return code


def _report(error: Exception) -> tuple[tuple[str, ...], str, int]:
    """Give the sentences, the hint and the exit code for `error`."""
    match error:
        case PluginError():
            return error.sentences, error.hint, error.exit_code
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "kubectl ml"
            return (_usage(error),), f"see '{command} --help' for usage and examples", 2
        case click.ClickException():
            return (error.format_message(),), "", error.exit_code
        case OSError():
            return (str(error),), "run again with -v=6 to see where it happened", 1
        case _:
            sentence = f"this is a fault of kubectl-ml: {type(error).__name__}: {error}"
            return (" ".join(sentence.split("\n")),), "run again with -v=6 and report it", 1


def _usage(error: click.UsageError) -> str:
    """Word a usage error as kubectl words its own."""
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities
        return f"unknown flag: {error.option_name}" + (
            f'; did you mean "{near[0]}"?' if near else ""
        )
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _without_equals(args: list[str]) -> list[str]:
    """Turn `-o=json`, as kubectl takes it, into `-ojson`, as click does."""
    end = args.index("--") if "--" in args else len(args)
    return [_SHORT_FLAG_WITH_EQUALS.sub(r"\1", arg) for arg in args[:end]] + args[end:]


def _verbosity(args: Sequence[str]) -> int:
    """Find the level that `-v` asks for, whether or not the other flags can be read."""
    joined = re.sub(r"(?m)^(-v|--v)(\n|=)", "--v=", "\n".join(args))
    levels = [_VERBOSITY.fullmatch(arg) for arg in joined.split("\n")]
    return max((int(level[1]) for level in levels if level), default=0)


def _terminal(environ: Mapping[str, str]) -> Terminal:
    return Terminal(no_color=bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb")
