"""
The sentences of a quota: what doesn't fit, who holds what, by how much, and what would help.

    gpus: team nlp has 14 of 16 a100 in use (train-llm 8, sweep 6); bert asks for 4, 2 too many
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from policies import quantity
from policies.model import Violation
from policies.quota.charges import NONE, Charge
from policies.quota.ledger import Amounts, Short
from policies.quota.policy import QuotaPolicy
from policies.quota.reading import DEVICES

MAX_HOLDERS = 5
_ZERO = Decimal(0)
_BYTES = ("memory", "ephemeral-storage")
_BINARY_UNIT = 1024**2
# What bounds the pods of a kind whose peak has no bound.
_BOUNDED_BY: Mapping[str, str] = {
    "CronJob.batch": "spec.concurrencyPolicy to Forbid, so that its runs don't overlap",
    "Configuration.serving.knative.dev": (
        "the template's annotation autoscaling.knative.dev/max-scale"
    ),
    "DaemonSet.apps": "match.exclude.kinds of the policy, as a DaemonSet has a pod on every node",
    "InferenceService.serving.kserve.io": "maxReplicas of its components",
    "Service.serving.knative.dev": (
        'the annotation kubectl-ml.io/scale to "max=N", or the template\'s '
        "autoscaling.knative.dev/max-scale"
    ),
    "ScheduledSparkApplication.sparkoperator.k8s.io": "spec.concurrencyPolicy to Forbid",
    "CronWorkflow.argoproj.io": "spec.concurrencyPolicy to Forbid",
    "ScheduledWorkflow.kubeflow.org": "spec.maxConcurrency to 1",
}


def alone(charge: Charge, name: str, kind: str) -> Iterator[Violation]:
    """Find what doesn't fit whatever else there is: no bound at all, or more than one may have."""
    policy = charge.policy
    for key in sorted(charge.endless):
        fix = _BOUNDED_BY.get(kind, "an upper bound of its pods")
        message = f"{name} asks for {label(key)} without an upper bound; set {fix}"
        yield Violation(policy=policy.name, message=message)
    for key, most in sorted(policy.per_workload.items()):
        asks = charge.amounts.get(key, _ZERO)
        if asks > most:
            message = (
                f"{name} asks for {amount(key, asks)} {label(key)}, and one workload may have "
                f"{amount(key, most)}; ask for {amount(key, asks - most)} less"
            )
            yield Violation(policy=policy.name, message=message)


def over(
    charge: Charge, shorts: Iterable[Short], holders: Sequence[tuple[str, Amounts]], name: str
) -> Iterator[Violation]:
    """Say what doesn't fit into the group's budget; `holders` are the group's largest first."""
    for short in shorts:
        yield Violation(policy=charge.policy.name, message=_over(charge, short, holders, name))


def _over(charge: Charge, short: Short, holders: Sequence[tuple[str, Amounts]], name: str) -> str:
    key = short.name
    taken = f"{amount(key, short.used)} of {amount(key, short.budget)} {label(key)} in use"
    if short.used == 0 and short.reserved:
        taken = (
            f"{amount(key, short.reserved)} of {amount(key, short.budget)} {label(key)} reserved"
        )
    elif short.reserved:
        taken += f" and {amount(key, short.reserved)} reserved"
    asks, more = charge.amounts.get(key, _ZERO), short.asks
    asked = f"asks for {amount(key, asks)}"
    if more < asks:
        asked = f"asks for {amount(key, more)} more"
    sentence = (
        f"{who(charge.policy, charge.group)} has {taken}{_held(key, holders)}; {name} {asked}, "
        f"{amount(key, short.over)} too many"
    )
    surge = charge.surge.get(key, _ZERO)
    if 0 < short.over <= surge:
        sentence += (
            f"; {amount(key, surge)} of them for a rolling update: {charge.surge_field}: 0 "
            "takes them out"
        )
    return sentence


def _held(key: str, holders: Sequence[tuple[str, Amounts]]) -> str:
    having = [(name, amounts[key]) for name, amounts in holders if amounts.get(key)]
    having.sort(key=lambda one: (-one[1], one[0]))
    shown = [f"{name} {amount(key, value)}" for name, value in having[:MAX_HOLDERS]]
    if len(having) > MAX_HOLDERS:
        shown.append(f"{len(having) - MAX_HOLDERS} more")
    return f" ({', '.join(shown)})" if shown else ""


def who(policy: QuotaPolicy, group: str) -> str:
    """Name a group: `team nlp`, `namespace ml`, `user ada`."""
    by = policy.group_by
    if by.by == "namespaceLabel":
        word = by.of.rpartition("/")[2]
        return f"{word} {group}" if group != NONE else f"what has no {word}"
    word = "group" if by.by == "expression" else by.by
    return f"{word} {group}" if group != NONE else f"what has no {word}"


def label(key: str) -> str:
    """Name a budget's key in a sentence: `a100` for `accelerators.a100`."""
    return key.removeprefix(f"{DEVICES}.")


def amount(key: str, value: Decimal) -> str:
    """Write an amount of a key as Kubernetes writes it."""
    binary = key in _BYTES and value % _BINARY_UNIT == 0
    return quantity.canonical(value, binary=binary)
