"""`kubectl ml policy list`: what is in force, and in which state."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from time import time
from typing import Any

import click

from kubectl_ml import (
    flags,
    policy_counts,
    policy_flags,
    policy_objects,
    policy_state,
    policy_words,
    tables,
)
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.policy_names import PolicyName
from kubectl_ml.policy_objects import Held
from policies import load

HEADERS = ("KIND", "NAME", "MODE", "STATE", "PODS", "MATCHES", "DOES")
WIDE_HEADERS = ("FROM", "ORDER", "MATCHES ALL OF", "REASON")
UNKNOWN = "-"
_OF_ANY_KIND = ("PolicyException", "QuotaPolicy")  # where the match names none


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("names", nargs=-1, metavar="[NAME | KIND/NAME]...", type=PolicyName())
@policy_flags.options
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="Only of this kind, such as GuardPolicy or guard; can be repeated. Without it all "
    "policies, but no device classes, data sources and workload kinds.",
)
@flags.where
@flags.listing
@flags.verbosity
def list(
    *,
    names: tuple[str, ...],
    chosen: Chosen,
    kinds: tuple[str, ...],
    output: str,
    no_headers: bool,
) -> None:
    """
    List the policies in force: what each does, what it matches, and its state.

    PODS is how many pods hold something of it, as far as the cluster lets one look.

    \b
    Examples:
      # Those of the built-in library, and of a directory
      kubectl ml policy list --policies policies/
      # What became of the cluster's guards?
      kubectl ml policy list --policies cluster --kind guard
    """
    found = policy_objects.read(chosen)
    counts = None
    if names:
        found = [policy_objects.named(found, name) for name in names]
    if kinds or not names:
        found = _of_kinds(found, kinds)
    if chosen.of_cluster and output in ("table", "wide"):
        counts = policy_counts.injected(flags.asked_cluster())
    listing = tables.Listing(
        noun="policy",
        plural="policies",
        headers=HEADERS,
        wide_headers=WIDE_HEADERS,
        rows={f"{one.kind}/{one.name}": _row(one, counts, time()) for one in _sorted(found)},
    )
    tables.show(listing, output, named=bool(names), headers=not no_headers)


def _of_kinds(found: Sequence[Held], kinds: Sequence[str]) -> builtins.list[Held]:
    known = load.KINDS
    for word in kinds:
        if not any(policy_objects.is_kind(kind, word) for kind in known):
            from kubectl_ml.suggest import did_you_mean

            near = did_you_mean(word, known)
            raise click.UsageError(f'--kind "{word}": there is no such kind{near}')
    if not kinds:
        return [one for one in found if one.kind in policy_objects.POLICIES]
    return [one for one in found if any(policy_objects.is_kind(one.kind, word) for word in kinds)]


def _sorted(found: Sequence[Held]) -> Sequence[Held]:
    return sorted(found, key=lambda one: (one.kind, _order(one), one.name))


def _order(one: Held) -> int:
    return int(one.spec.get("order") or 0)


def _row(one: Held, counts: Mapping[str, int] | None, now: float) -> tables.Row:
    name, reason = policy_state.of(one, now)
    injects = one.kind == "InjectionPolicy"
    return tables.Row(
        cells=(
            one.kind,
            one.name,
            policy_words.mode(one.kind, one.spec) or UNKNOWN,
            name,
            str(counts.get(one.name, 0)) if injects and counts is not None else UNKNOWN,
            _matches(one, short=True),
            policy_words.does(one.kind, one.spec),
        ),
        wide=(
            one.where,
            str(_order(one)) if injects else UNKNOWN,
            _matches(one),
            reason or UNKNOWN,
        ),
        manifest=_manifest(one),
    )


def _matches(one: Held, *, short: bool = False) -> str:
    if one.kind not in policy_objects.POLICIES:
        return UNKNOWN
    default = policy_words.EVERYTHING if one.kind in _OF_ANY_KIND else "Pod"
    return policy_words.matches(one.spec.get("match"), default=default, short=short)


def _manifest(one: Held) -> dict[str, Any]:
    """Give the object; of a cluster's with its status, which says what became of it."""
    status = one.manifest.get("status")
    return one.plain | ({"status": status} if status else {})
