"""How a workload is submitted: `--inject`, `--dry-run`, `-o` and the policies, for any of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from kubectl_ml import policy_flags, submit
from kubectl_ml.policy_flags import Chosen

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = (
    click.option(
        "--inject",
        type=click.Choice([submit.AUTO, submit.SERVER, submit.CLIENT]),
        default=submit.AUTO,
        show_default=True,
        help="Who carries intents out: the cluster's webhook, or this program; auto finds out.",
    ),
    click.option(
        "--dry-run",
        type=click.Choice([submit.NONE, submit.CLIENT, submit.SERVER]),
        default=submit.NONE,
        show_default=True,
        help="Change nothing; client asks no cluster at all.",
    ),
    click.option(
        *("-o", "--output", "form"),
        type=click.Choice(["yaml", "json", "name"]),
        help="Print the objects.",
    ),
    policy_flags.options,
)


def options(command: Command) -> Command:
    """Add the flags; the command gets them as `options`, a `submit.Options`."""

    @wraps(command)
    def with_options(*args: Any, chosen: Chosen, **given: Any) -> Any:
        found = submit.Options(
            inject=given.pop("inject"),
            dry_run=given.pop("dry_run"),
            output=given.pop("form") or "",
            chosen=chosen,
        )
        return command(*args, options=found, **given)

    for flag in reversed(_FLAGS):
        with_options = flag(with_options)
    return cast("Command", with_options)
