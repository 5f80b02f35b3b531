"""The flags that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import click

from kubectl_ml.errors import Refused
from kubectl_ml.program import Terminal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from kubectl_ml.backends.backend import Backend
    from kubectl_ml.cluster import Cluster
    from kubectl_ml.errors import NotAllowed
    from policies.model import Facts, PolicySet

    Word = click.ParamType[str]
    Seconds = click.ParamType[float]
else:
    Word = Seconds = click.ParamType  # generic only in newer versions of click

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
CLUSTER = "cluster"
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
        help="Directory or file with device classes, data sources and policies, or `cluster` for "
        "those in force there; can be repeated. An object of the same kind and name replaces the "
        "library's.",
    )(command)


def where(command: Command) -> Command:
    """Add the flags that say which cluster and user, for a command that reads only policies."""

    @wraps(command)
    def without(*args: Any, **given: Any) -> Any:
        for name in _OF_WHERE:
            given.pop(name)  # `read_policies` takes them from click's context
        return command(*args, **given)

    for option in reversed(_WHERE):
        without = option(without)
    return cast("Command", without)


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


def read_policies(
    paths: tuple[str, ...], *, library: bool, hidden: dict[str, NotAllowed] | None = None
) -> PolicySet:
    """Load what `--policies` and `--no-library` ask for; `hidden`: see `in_force.objects`."""
    from policies import load
    from policies.errors import InvalidPolicies
    from policies.model import PolicySet

    if CLUSTER in paths:
        from kubectl_ml import in_force

        files = tuple(path for path in paths if path != CLUSTER)
        base = read_policies(files, library=library)
        return in_force.policies(asked_cluster(), base, _warn, hidden)
    if not paths:
        return load.library() if library else PolicySet()
    try:
        return load.read(paths, library=library)
    except InvalidPolicies as error:
        raise Refused(
            tuple(str(fault) for fault in error.faults),
            hint="no policy was used; mend the files that --policies names",
        ) from error


def read_facts(paths: tuple[str, ...]) -> Facts:
    """Give what `--policies cluster` knows of the cluster; otherwise what is taken for granted."""
    from policies.model import Facts

    if CLUSTER not in paths:
        return Facts()
    from kubectl_ml import in_force

    return in_force.bounded(asked_cluster())


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
        ctx.meta[_CONNECTED] = connect(target, _warn)
    found: Cluster = ctx.meta[_CONNECTED]
    return found


def _warn(text: str) -> None:
    click.echo(f"Warning: {text}", err=True)


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
