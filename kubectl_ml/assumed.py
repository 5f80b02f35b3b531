"""What is assumed of the cluster where none is asked: the flags for it, and the facts they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from kubectl_ml import facts, flags
from policies.model import Facts

Command = TypeVar("Command", bound=Callable[..., Any])


def _kube_version(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    found = facts.kube_version(value) if value is not None else None
    if value is not None and found is None:
        raise click.BadParameter(f'"{value}" is no version; write it as 1.36', ctx, param)
    return found


def options(command: Command) -> Command:
    """Add `--facts` and `--kube-version`; the command gets `facts_file` and `kube_version`."""
    command = click.option(
        "--kube-version",
        callback=_kube_version,
        metavar="V",
        help="The version of Kubernetes to assume, over --facts.  [default: 1.36]",
    )(command)
    return click.option(
        "--facts",
        "facts_file",
        default="",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="What to assume of the cluster: kubeVersion, namespaces, user, installed and more.",
    )(command)


def read(facts_file: str, kube_version: tuple[int, int] | None, policies: tuple[str, ...]) -> Facts:
    """Give the facts that the flags ask for; `--policies cluster` takes those of the cluster."""
    found = facts.read(facts_file) if facts_file else flags.read_facts(policies)
    return replace(found, kube_version=kube_version) if kube_version else found
