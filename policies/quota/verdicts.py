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
_BYTES = ("memory", "ephemeral-storage", "hugepages-")
_MEASURED = ("cpu", *_BYTES)  # too much, not too many
_BINARY_UNIT = 1024**2
# What bounds the pods of a kind whose peak has no bound.
_BOUNDED_BY: Mapping[str, str] = {
    "CronJob.batch": "spec.concurrencyPolicy to Forbid, so that its runs don't overlap",
    "Configuration.serving.knative.dev": (
        "the template's annotation autoscaling.knative.dev/max-scale"
    ),
    "DaemonSet.apps": (
        "match.exclude.kinds: [DaemonSet.apps] in the policy, as a DaemonSet has a pod on every "
        "node"
    ),
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
    if charge.endless:
        fix = _BOUNDED_BY.get(kind, "an upper bound of its pods")
        what = _listed([label(key) for key in sorted(charge.endless)])
        message = f"{name} asks for {what} without an upper bound; set {fix}"
        yield Violation(policy=policy.name, message=message)
    for key, most in sorted(policy.per_workload.items()):
        asks = charge.amounts.get(key, _ZERO)
        if asks > most:
            message = (
                f"{name} asks for {told(key, asks)} {label(key)}{_by_weight(charge, key)}, and one "
                f"workload may have {told(key, most)}"
            )
            message += _of_surge(charge, key, asks - most) or (
                f"; ask for {told(key, asks - most)} less"
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
    budget = f"{told(key, short.budget)} {label(key)}"
    if charge.schedule:
        budget += f" (schedule {charge.schedule})"
    taken = f"{told(key, short.used)} of {budget} in use"
    if short.used == 0 and short.reserved:
        taken = f"{told(key, short.reserved)} of {budget} reserved"
    elif short.reserved:
        taken += f" and {told(key, short.reserved)} reserved"
    asks, more = charge.amounts.get(key, _ZERO), short.asks
    asked = f"asks for {told(key, asks)}{_by_weight(charge, key)}"
    if more < asks:
        asked = f"asks for {told(key, more)} more"
    too = "too much" if key.startswith(_MEASURED) else "too many"
    sentence = (
        f"{who(charge.policy, charge.group)} has {taken}{_held(key, holders)}; {name} {asked}, "
        f"{told(key, short.over)} {too}"
    )
    return sentence + _of_surge(charge, key, short.over)


def _of_surge(charge: Charge, key: str, over: Decimal) -> str:
    """Say that what is too much is for a rolling update alone, and what avoids it."""
    surge = charge.surge.get(key, _ZERO)
    if not 0 < over <= surge:
        return ""
    return (
        f"; {told(key, surge)} of them for a rolling update: {charge.surge_field}: 0 takes them out"
    )


def _by_weight(charge: Charge, key: str) -> str:
    """Say how many devices a weighed amount is, where that differs."""
    count = charge.devices
    if key != DEVICES or not count or count == charge.amounts.get(key):
        return ""
    return f" ({told(key, count)} {'device' if count == 1 else 'devices'} by weight)"


def _held(key: str, holders: Sequence[tuple[str, Amounts]]) -> str:
    having = [(name, amounts[key]) for name, amounts in holders if amounts.get(key)]
    having.sort(key=lambda one: (-one[1], one[0]))
    shown = [f"{name} {told(key, value)}" for name, value in having[:MAX_HOLDERS]]
    if len(having) > MAX_HOLDERS:
        shown.append(f"{len(having) - MAX_HOLDERS} more")
    return f" ({', '.join(shown)})" if shown else ""


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


_WITHOUT: Mapping[str, str] = {  # why something is in the group `<none>`
    "namespace": "no namespace",
    "user": "nobody is known to have made it",
    "queue": "no queue is named",
    "expression": "the policy's groupBy gives no name",
}


def who(policy: QuotaPolicy, group: str) -> str:
    """Name a group: `team nlp`, `namespace ml`, `user ada`, `group <none> (no queue is named)`."""
    by = policy.group_by
    if group == NONE:
        why = f"the namespace has no label {by.of}"
        return f"group {NONE} ({_WITHOUT.get(by.by, why)})"
    if by.by == "namespaceLabel":
        return f"{by.of.rpartition('/')[2]} {group}"
    return f"{'group' if by.by == 'expression' else by.by} {group}"


def label(key: str) -> str:
    """Name a budget's key in a sentence: `a100` for `accelerators.a100`."""
    return key.removeprefix(f"{DEVICES}.")


def amount(key: str, value: Decimal) -> str:
    """Write an amount of a key as Kubernetes writes it."""
    binary = key.startswith(_BYTES) and value % _BINARY_UNIT == 0
    return quantity.canonical(value, binary=binary)


def told(key: str, value: Decimal) -> str:
    """Write an amount for people: `3.5` cpu, `1200` pods, `64Gi` memory."""
    return amount(key, value) if key.startswith(_BYTES) else f"{value.normalize():f}"
