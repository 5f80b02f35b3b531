"""The flags that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kubectl_ml.errors import PluginError, Refused

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from policies.model import PolicySet

    Word = click.ParamType[str]
else:
    Word = click.ParamType  # generic only in newer versions of click

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
CLUSTER = "cluster"

verbosity = click.option(
    "-v",
    "--v",
    type=int,
    expose_value=False,
    metavar="LEVEL",
    help="How much to tell when something goes wrong; from 6 on with a traceback.",
)

no_color = click.option(
    "--no-color", is_flag=True, help="No colors, even on a terminal; NO_COLOR does the same."
)


def policies(command: Command) -> Command:
    """Add `--policies` and `--no-library`."""
    command = click.option(
        "--no-library",
        is_flag=True,
        help="Leave the built-in library out: only what --policies gives.",
    )(command)
    return click.option(
        "--policies",
        "policies_",
        multiple=True,
        type=PolicyPath(),
        metavar="DIR",
        help="Directory or file with device classes, data sources and policies; can be repeated. "
        "An object of the same kind and name replaces the library's.",
    )(command)


def listing(command: Command) -> Command:
    """Add `-o` and `--no-headers` for a table."""
    command = click.option("--no-headers", is_flag=True, help="Leave the headers out.")(command)
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "wide", "json", "yaml", "name"]),
        default="table",
        show_default=True,
        help="What to print.",
    )(command)


def read_policies(paths: tuple[str, ...], *, library: bool) -> PolicySet:
    """Load what `--policies` and `--no-library` ask for."""
    from policies import load
    from policies.errors import InvalidPolicies
    from policies.model import PolicySet

    if CLUSTER in paths:
        raise PluginError(
            "--policies cluster is not there yet: this version reads policies from files only",
            hint="give the directory that has them: --policies DIR",
        )
    if not paths:
        return load.library() if library else PolicySet()
    try:
        return load.read(paths, library=library)
    except InvalidPolicies as error:
        raise Refused(
            tuple(str(fault) for fault in error.faults),
            hint="no policy was used; mend the files that --policies names",
        ) from error


class PolicyPath(Word):
    """A directory or file with policies, or `cluster`."""

    name = "policies"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer directories."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


class ManifestPath(Word):
    """A file, directory or URL with manifests, or `-`."""

    name = "filename"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer files."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class DeviceClass(Word):
    """The name of a device class; completes from the library and `--policies`."""

    name = "class"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the classes that begin with what is there."""
        classes = _in_force(ctx).accelerators.values()
        return _offer(
            {
                each.name: each.description or each.resource or each.device_class_name
                for each in classes
            },
            incomplete,
        )


class DataSourceName(Word):
    """The name of a data source; completes from the library and `--policies`."""

    name = "source"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the sources that begin with what is there."""
        sources = _in_force(ctx).data_sources.values()
        return _offer({each.name: each.description or each.type for each in sources}, incomplete)


def _in_force(ctx: click.Context) -> PolicySet:
    paths = tuple(path for path in ctx.params.get("policies_") or () if path != CLUSTER)
    return read_policies(paths, library=not ctx.params.get("no_library"))


def _offer(words: dict[str, str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=words[word])
        for word in sorted(words)
        if word.startswith(incomplete)
    ]
