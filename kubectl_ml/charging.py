"""What quotas charge an object with, and what they refuse of it whatever else there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from kubectl_ml import objects
from policies.model import Decision, Request
from policies.quota import verdicts
from policies.quota.charges import NONE, Charge
from policies.quota.reading import DEVICES


def judged(decision: Decision, charges: Iterable[Charge], request: Request) -> Decision:
    """Add to a decision what doesn't fit into any budget: no bound, or more than one may have."""
    name = objects.called(request.object)
    kind = ".".join(filter(None, [request.kind, request.group]))
    said = [
        (charge.policy.enforcement, one)
        for charge in charges
        if not charge.exempt
        for one in verdicts.alone(charge, name, kind)
    ]
    refused = (one for how, one in said if how == "Deny")
    warned = (f"{one.policy}: {one.message}" for how, one in said if how == "Warn")
    return replace(
        decision,
        violations=(*decision.violations, *refused),
        warnings=(*decision.warnings, *warned),
    )


def told(charge: Charge) -> str:
    """Say whom a quota charges, and with what: `gpus: team nlp is charged 4 a100`."""
    amounts = [_amount(key, value) for key, value in sorted(charge.amounts.items()) if value]
    amounts += [f"{verdicts.label(key)} without a bound" for key in sorted(charge.endless)]
    who = verdicts.who(charge.policy, charge.group)
    if charge.policy.group_by.by == "user" and charge.group == NONE:
        who = "who applies it"  # isn't known before
    beyond = "; a PolicyException lets it in beyond the budget" if charge.exempt and amounts else ""
    return f"{charge.policy.name}: {who} is charged {', '.join(amounts) or 'nothing'}{beyond}"


def _amount(key: str, value: Decimal) -> str:
    label = verdicts.label(key)
    if value == 1 and key in ("pods", DEVICES):
        label = label.removesuffix("s")
    return f"{verdicts.told(key, value)} {label}"
