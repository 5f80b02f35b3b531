"""What groups use, written as tables with bars or as JSON and YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import Any

import click

from kubectl_ml import tables
from kubectl_ml.fitting import Verdict
from kubectl_ml.quotas import Holder, Use
from policies.model import DOMAIN
from policies.quota.ledger import Amounts
from policies.quota.policy import QuotaPolicy
from policies.quota.verdicts import amount, label, told

HEADERS = ("POLICY", "GROUP", "OF", "BUDGET", "USED", "RESERVED", "FREE", "")
BAR = 8
EACH = "(each workload)"
NOTHING = "-"
_FOUND = {"Deny": "error: {}", "Warn": "Warning: {}", "Audit": "note: {} only records"}
_SAID = {"Warn": " (only warns)", "Audit": " (only records)"}
_ZERO = Decimal(0)


def show(uses: Sequence[Use], form: str, *, holders: bool, headers: bool) -> None:
    """Print what groups use; `holders` adds a table of who holds what."""
    if form in ("json", "yaml"):
        whole = {"items": [_item(one) for one in uses]}
        click.echo(tables.structured(whole, form), nl=False)
    elif form == "name":
        for name in dict.fromkeys(one.policy.name for one in uses):
            click.echo(f"quotapolicy.{DOMAIN}/{name}")
    else:
        wide = form == "wide"
        titles = (*HEADERS, *(("HOLDERS",) if wide else ()))
        rows = []
        for policy, of_policy in groupby(uses, key=lambda one: one.policy):
            rows += [_cells(one, key, wide=wide) for one in of_policy for key in sorted(one.budget)]
            rows += _per_workload(policy, wide=wide)
        click.echo(tables.table(titles, rows, headers))
        if holders and any(one.holders for one in uses):
            click.echo()
            _holders(uses, headers=headers)


def _cells(use: Use, key: str, *, wide: bool) -> list[str]:
    used, reserved = use.used.get(key, _ZERO), use.reserved.get(key, _ZERO)
    figures = (use.budget[key], used, reserved, use.free(key))
    cells = [use.policy.name, use.group, label(key), *(told(key, one) for one in figures)]
    cells.append(bar(use.budget[key], used, reserved) + _SAID.get(use.policy.enforcement, ""))
    if wide:
        held = [one for one in use.holders if one.amounts.get(key)]
        names = ", ".join(f"{one.name} {told(key, one.amounts[key])}" for one in held)
        cells.append(names or NOTHING)
    return cells


def _per_workload(policy: QuotaPolicy, *, wide: bool) -> list[list[str]]:
    """Give the rows of what one workload may have, whoever else has what."""
    said = _SAID.get(policy.enforcement, "").strip() or NOTHING
    return [
        [policy.name, EACH, label(key), told(key, most), *[NOTHING] * 3, said, *[NOTHING] * wide]
        for key, most in sorted(policy.per_workload.items())
    ]


def bar(budget: Decimal, used: Decimal, reserved: Decimal) -> str:
    """Draw what is used, reserved and free: `█████▒░░`; what is used is never drawn as nothing."""
    if budget <= 0:
        return "█" * BAR
    full = _blocks(used, budget)
    taken = max(_blocks(used + reserved, budget), full + bool(reserved and full < BAR))
    return "█" * full + "▒" * (taken - full) + "░" * (BAR - taken)


def _blocks(part: Decimal, whole: Decimal) -> int:
    blocks = int((part / whole * BAR).to_integral_value(ROUND_HALF_UP))
    return min(BAR, max(blocks, int(part > 0)))


def _holders(uses: Sequence[Use], *, headers: bool) -> None:
    rows = [
        [use.policy.name, one.kind, one.namespace, one.name, written(one.amounts)]
        for use in uses
        for one in use.holders
    ]
    click.echo(tables.table(("POLICY", "KIND", "NAMESPACE", "NAME", "HOLDS"), rows, headers))


def written(amounts: Amounts) -> str:
    """Write amounts in a cell: `8 a100, 2 pods`."""
    found = sorted(amounts.items())
    return ", ".join(_counted(key, value) for key, value in found if value)


def _counted(key: str, value: Decimal) -> str:
    word = label(key)
    if value == 1 and key in ("pods", "accelerators"):
        word = word.removesuffix("s")
    return f"{told(key, value)} {word}"


def _item(use: Use) -> dict[str, Any]:
    return {
        "policy": use.policy.name,
        "group": use.group,
        "enforcement": use.policy.enforcement,
        "schedule": use.schedule or None,
        "perWorkload": texts(use.policy.per_workload.items()),
        "budget": texts(use.budget.items()),
        "used": texts(use.used.items()),
        "reserved": texts(use.reserved.items()),
        "free": texts((key, use.free(key)) for key in use.budget),
        "holders": [holder(one) for one in use.holders],
    }


def holder(one: Holder) -> dict[str, Any]:
    """Give a holder as JSON has it."""
    return {
        "kind": one.kind,
        "namespace": one.namespace,
        "name": one.name,
        "amounts": texts(one.amounts.items()),
    }


def texts(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, str]:
    """Write amounts as Kubernetes does."""
    return {key: amount(key, value) for key, value in sorted(amounts)}


def verdicts(found: Sequence[Verdict], form: str) -> None:
    """Print what policies say of objects: what fits on stdout, what doesn't as errors."""
    if form in ("json", "yaml"):
        fits = all(one.fits for one in found)
        whole = {"fits": fits, "items": [_verdict(one) for one in found]}
        click.echo(tables.structured(whole, form), nl=False)
        return
    if not found:
        click.echo("No quota covers what is here.", err=True)
    for obj, of_object in groupby(found, key=lambda one: one.object):
        _verdicts(obj, list(of_object))


def _verdicts(obj: str, found: Sequence[Verdict]) -> None:
    """Print what policies say of one object; those that it asks nothing of say nothing."""
    if not any(one.sentences or any(one.asks.values()) for one in found):
        click.echo(f"{obj} fits: it asks for nothing that a quota bounds")
    for one in found:
        if not one.sentences and any(one.asks.values()):
            beyond = ", let in by a PolicyException" if one.exempt else ""
            click.echo(f"{obj} fits: {one.policy}, {one.group}: {written(one.asks)}{beyond}")
        for sentence in one.sentences:
            said = (
                one.policy if one.group else f"{obj}: {one.policy}"
            )  # sentences of quotas name it
            click.echo(f"{_FOUND[one.enforcement].format(said)}: {sentence}", err=True)
        if not one.fits:
            _hints(one)


def _hints(one: Verdict) -> None:
    if one.to_go:
        names = ", ".join(f"{each.name} ({written(each.amounts)})" for each in one.to_go)
        click.echo(f"hint: it fits once this is gone: {names}", err=True)
    for key, over in one.never.items():
        click.echo(
            f"hint: it never fits: the whole budget is {told(key, one.asks[key] - over)} "
            f"{label(key)}; ask for {told(key, over)} less",
            err=True,
        )


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "object": one.object,
        "policy": one.policy,
        "group": one.group,
        "asks": texts(one.asks.items()),
        "fits": one.fits,
        "exempt": one.exempt,
        "sentences": list(one.sentences),
        "toGo": [holder(each) for each in one.to_go],
        "never": texts(one.never.items()),
    }
