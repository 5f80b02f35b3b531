"""The flags that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import click

from kubectl_ml.program import Terminal

if TYPE_CHECKING:
    from kubectl_ml.backends.backend import Backend
    from kubectl_ml.cluster import Cluster

    Word = click.ParamType[str]
    Seconds = click.ParamType[float]
else:
    Word = Seconds = click.ParamType  # generic only in newer versions of click

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
NO_COLOR = f"{__name__}.no_color"
_CONNECTED = f"{__name__}.connected"


class Duration(Seconds):
    """A span of time, as Kubernetes writes them: `90s`, `1h30m`; a bare number is none but 0."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it in seconds."""
        from policies import intents

        if isinstance(value, (int, float)):
            return float(value)
        if value.isascii() and value.isdigit() and int(value):
            raise click.BadParameter(f'"{value}": missing unit; write {value}s or 24h', ctx, param)
        seconds = 0 if value == "0" else intents.seconds(value)
        if seconds is None or (not seconds and not self.zero):
            raise click.BadParameter(f'"{value}" is not a duration; write 90s or 1h30m', ctx, param)
        return float(seconds)


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


def form(*forms: str, also: str = "") -> Callable[[Command], Command]:
    """Add `-o` for one of these forms, by default the first; the command gets it as `form`."""
    return click.option(
        *("-o", "--output", "form"),
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help=f"What to print{also}.",
    )


no_headers = click.option("--no-headers", is_flag=True, help="Leave the headers out.")


def of_manifests(also: str = "") -> Callable[[Command], Command]:
    """Add `-n` for a command that asks no cluster."""
    return click.option(
        *("-n", "--namespace"),
        default="default",
        show_default=True,
        metavar="NAME",
        help=f"The namespace of objects that don't say theirs{also}.",
    )


def where(command: Command) -> Command:
    """Add the flags that say which cluster and user, for a command that reads only policies."""

    @wraps(command)
    def without(*args: Any, **given: Any) -> Any:
        for name in _OF_WHERE:
            given.pop(name)  # `asked_cluster` takes them from click's context
        return command(*args, **given)

    for option in reversed(_WHERE):
        without = option(without)
    return cast("Command", without)


def listing(command: Command) -> Command:
    """Add `-o` and `--no-headers` for a table."""
    command = no_headers(command)
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "wide", "json", "yaml", "name"]),
        default="table",
        show_default=True,
        help="What to print.",
    )(command)


def cluster(command: Command) -> Command:
    """
    Add the flags that say which cluster, namespace and user; the command gets them as `target`.

    -n, --context, --kubeconfig, --as, --as-group, --request-timeout
    """

    @wraps(command)
    def with_target(*args: Any, **given: Any) -> Any:
        from kubectl_ml.cluster import Target

        target = Target(
            namespace=given.pop("namespace"),
            context=given.pop("context"),
            kubeconfig=given.pop("kubeconfig"),
            as_user=given.pop("as_user"),
            as_groups=given.pop("as_groups"),
            timeout_seconds=given.pop("request_timeout"),
        )
        return command(*args, target=target, **given)

    for option in reversed(_CLUSTER_FLAGS):
        with_target = option(with_target)
    return cast("Command", with_target)


def _keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[NO_COLOR] = value


def colors(stream: TextIO) -> bool:
    """Tell whether what goes to this stream is colored."""
    ctx = click.get_current_context()
    plain = ctx.meta.get(NO_COLOR) or (isinstance(ctx.obj, Terminal) and ctx.obj.no_color)
    return stream.isatty() and not plain


_WHERE = (
    click.option("--context", default="", metavar="NAME", help="The context of the kubeconfig."),
    click.option(
        "--kubeconfig",
        default="",
        envvar="KUBECONFIG",
        metavar="FILE",
        help="How the cluster is reached.  [default: $KUBECONFIG, ~/.kube/config]",
    ),
    click.option("--as", "as_user", default="", metavar="USER", help="Act as this user."),
    click.option(
        "--as-group",
        "as_groups",
        multiple=True,
        metavar="GROUP",
        help="Act as a member of this group; can be repeated.",
    ),
    click.option(
        "--request-timeout",
        type=Duration(zero=True),
        default="30s",
        show_default=True,
        metavar="DURATION",
        help="How long one request may take; 0 is for ever.",
    ),
)

_OF_WHERE = ("context", "kubeconfig", "as_user", "as_groups", "request_timeout")

_CLUSTER_FLAGS = (
    click.option(
        "-n",
        "--namespace",
        default="",
        metavar="NAME",
        help="The namespace.  [default: the one of the context]",
    ),
    *_WHERE,
    click.option(
        "--no-color",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="No colors, even on a terminal; NO_COLOR does the same.",
    ),
)

of_backend = click.option(
    "--backend",
    default="",
    metavar="NAME",
    help="Only those of this backend, where several have the name.",
)


def backends_of(name: str) -> Sequence[Backend[Any]]:
    """Give the backend that `--backend` names, or all."""
    from kubectl_ml import backends
    from kubectl_ml.suggest import did_you_mean

    known = {each.name: each for each in backends.ALL}
    if name and name not in known:
        raise click.UsageError(f'--backend "{name}": unknown backend{did_you_mean(name, known)}')
    return (known[name],) if name else backends.ALL


all_namespaces = click.option(
    "-A", "--all-namespaces", is_flag=True, help="Look in every namespace."
)


def asked_cluster() -> Cluster:
    """Connect to the cluster that the command's flags name; once for each command."""
    from kubectl_ml.cluster import Cluster, Target, connect

    ctx = click.get_current_context()
    if not isinstance(ctx.meta.get(_CONNECTED), Cluster):
        given = ctx.params
        target = Target(
            namespace=given.get("namespace") or "",
            context=given.get("context") or "",
            kubeconfig=given.get("kubeconfig") or "",
            as_user=given.get("as_user") or "",
            as_groups=given.get("as_groups") or (),
            timeout_seconds=given.get("request_timeout") or 30.0,
        )
        ctx.meta[_CONNECTED] = connect(target, warn)
    found: Cluster = ctx.meta[_CONNECTED]
    return found


def warn(text: str) -> None:
    """Say it on stderr."""
    click.echo(f"Warning: {text}", err=True)
