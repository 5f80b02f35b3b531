"""Which policies a command works with: `--policies` and `--no-library`, and what they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from kubectl_ml import flags
from kubectl_ml.errors import Refused

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from kubectl_ml.errors import NotAllowed
    from policies.model import Facts, PolicySet

Command = TypeVar("Command", bound=Callable[..., Any])

CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The policies of these files and directories, or `cluster`, over the library's or alone."""

    paths: tuple[str, ...] = ()
    library: bool = True

    @property
    def of_cluster(self) -> bool:
        """Tell whether those in force in the cluster are among them."""
        return CLUSTER in self.paths

    @property
    def files(self) -> Chosen:
        """Leave the cluster out."""
        return Chosen(
            paths=tuple(path for path in self.paths if path != CLUSTER), library=self.library
        )

    def and_also(self, paths: tuple[str, ...]) -> Chosen:
        """Add these."""
        return Chosen(paths=(*self.paths, *paths), library=self.library)

    @property
    def or_cluster(self) -> Chosen:
        """Take the cluster's where no others are named."""
        return self if self.paths else Chosen(paths=(CLUSTER,), library=self.library)

    def read(self, *, hidden: dict[str, NotAllowed] | None = None) -> PolicySet:
        """
        Load them; `hidden`: see `in_force.objects`.

        Raises Refused for files that hold a fault: no policy is used then.
        """
        from policies import load
        from policies.errors import InvalidPolicies
        from policies.model import PolicySet

        if self.of_cluster:
            from kubectl_ml import in_force

            base = self.files.read()
            return in_force.policies(flags.asked_cluster(), base, flags.warn, hidden)
        if not self.paths:
            return load.library() if self.library else PolicySet()
        try:
            return load.read(self.paths, library=self.library)
        except InvalidPolicies as error:
            raise Refused(
                tuple(str(fault) for fault in error.faults),
                hint="no policy was used; mend the files that --policies names",
            ) from error

    def facts(self) -> Facts:
        """Give what `cluster` knows of the cluster; otherwise what is taken for granted."""
        from policies.model import Facts

        if not self.of_cluster:
            return Facts()
        from kubectl_ml import in_force

        return in_force.bounded(flags.asked_cluster())


class PolicyPath(flags.Word):
    """A directory or file with policies, or `cluster`."""

    name = "policies"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer directories."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


def options(command: Command) -> Command:
    """Add `--policies` and `--no-library`; the command gets them as `chosen`."""

    @wraps(command)
    def with_chosen(*args: Any, **given: Any) -> Any:
        chosen = Chosen(paths=given.pop("policies_"), library=not given.pop("no_library"))
        return command(*args, chosen=chosen, **given)

    with_chosen = click.option(
        "--no-library",
        is_flag=True,
        help="Leave the built-in library out: only what --policies gives.",
    )(with_chosen)
    with_chosen = click.option(
        "--policies",
        "policies_",
        multiple=True,
        type=PolicyPath(),
        metavar="DIR",
        help="Directory or file with device classes, data sources and policies, or `cluster` for "
        "those in force there; can be repeated. An object of the same kind and name replaces the "
        "library's.",
    )(with_chosen)
    return cast("Command", with_chosen)


def for_completion(ctx: click.Context) -> Chosen:
    """Give what is chosen on a line that isn't finished; no cluster is asked for it."""
    paths = tuple(ctx.params.get("policies_") or ())
    return Chosen(paths=paths, library=not ctx.params.get("no_library")).files
