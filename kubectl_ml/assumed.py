"""What is assumed of the cluster where none is asked: the flags for it, and the facts they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar, cast

import click

from kubectl_ml import facts
from kubectl_ml.policy_flags import Chosen
from policies.model import Facts

Command = TypeVar("Command", bound=Callable[..., Any])


def _kube_version(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    found = facts.kube_version(value) if value is not None else None
    if value is not None and found is None:
        raise click.BadParameter(f'"{value}" is no version; write it as 1.36', ctx, param)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What `--facts` and `--kube-version` say."""

    file: str = ""
    kube_version: tuple[int, int] | None = None

    def facts(self, chosen: Chosen) -> Facts:
        """Give what is known of the cluster; `--policies cluster` takes it from there."""
        found = facts.read(self.file) if self.file else chosen.facts()
        return replace(found, kube_version=self.kube_version) if self.kube_version else found


def options(command: Command) -> Command:
    """Add `--facts` and `--kube-version`; the command gets them as `assumed_`."""

    @wraps(command)
    def with_assumed(*args: Any, **given: Any) -> Any:
        found = Assumed(file=given.pop("facts_file"), kube_version=given.pop("kube_version"))
        return command(*args, assumed_=found, **given)

    with_assumed = click.option(
        "--kube-version",
        callback=_kube_version,
        metavar="V",
        help="The version of Kubernetes to assume, over --facts.  [default: 1.36]",
    )(with_assumed)
    with_assumed = click.option(
        "--facts",
        "facts_file",
        default="",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="What to assume of the cluster: kubeVersion, namespaces, user, installed and more.",
    )(with_assumed)
    return cast("Command", with_assumed)
