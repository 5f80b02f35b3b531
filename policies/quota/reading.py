"""Read QuotaPolicies, and find what a schema can't say of them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from decimal import Decimal
from typing import Any

from policies import conditions, digests, intents, matches, members, quantity
from policies.model import Manifest
from policies.quota import contradictions
from policies.quota.policy import Budget, GroupBy, QuotaPolicy, Schedule

Found = tuple[tuple[str | int, ...], str]

DEVICES = "accelerators"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WORDS = ("namespace", "user", "queue")
_RESOURCES = ("pods", "cpu", "memory", "ephemeral-storage")
_REQUESTS = "requests."  # as a ResourceQuota writes it


def quota_policy(name: str, spec: Manifest) -> QuotaPolicy:
    """Build a policy that bounds."""
    return QuotaPolicy(
        name=name,
        digest=digests.digest("QuotaPolicy", spec),
        match=matches.match(members.mapping(spec, "match")),
        enforcement=spec.get("enforcement", "Deny"),
        group_by=_group_by(spec.get("groupBy", "namespace")),
        budget=_budget(spec),
        overrides=_overrides(spec),
        per_workload=_amounts(members.mapping(spec, "perWorkload")),
        schedules=schedules(spec),
        description=spec.get("description", ""),
    )


def schedules(spec: Mapping[str, Any]) -> tuple[Schedule, ...]:
    """Build a policy's schedules."""
    return tuple(_schedule(one) for one in members.items(spec, "schedules"))


def key_of(text: str) -> str:
    """Name a budget's key as demands do: `requests.nvidia.com/gpu` is `nvidia.com/gpu`."""
    return text.removeprefix(_REQUESTS)


def _group_by(found: Any) -> GroupBy:
    if isinstance(found, str):
        if found in _WORDS:
            return GroupBy(by=found)
        return GroupBy(by="expression", of=found)
    ((by, of),) = found.items()
    return GroupBy(by=by, of=of)


def _budget(spec: Mapping[str, Any]) -> Budget:
    return Budget(amounts=_amounts(members.mapping(spec, "budget")))


def _overrides(spec: Mapping[str, Any]) -> tuple[Budget, ...]:
    return tuple(
        Budget(amounts=_amounts(one["budget"]), groups=(one["group"],))
        for one in members.items(spec, "overrides")
    )


def _amounts(found: Mapping[str, Any]) -> dict[str, Decimal]:
    return {key_of(key): quantity.parse(members.text(value)) for key, value in found.items()}


def _schedule(spec: Mapping[str, Any]) -> Schedule:
    return Schedule(
        name=spec.get("name", ""),
        days=frozenset(DAYS.index(day) for day in spec.get("days", DAYS)),
        start=_minutes(spec.get("from", "00:00")),
        end=_minutes(spec.get("to", "24:00")),
        time_zone=spec.get("timeZone", "UTC"),
        budget=_budget(spec),
        overrides=_overrides(spec),
    )


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


# --- faults ------------------------------------------------------------------------------------


def faults(spec: Mapping[str, Any]) -> Iterator[Found]:
    """Find what can't be used: who it bounds, by what, and when."""
    yield from _match_faults(spec.get("match"), ("match",))
    yield from _group_faults(spec.get("groupBy"))
    for path, budget in budgets_of(spec):
        for key in budget if isinstance(budget, dict) else ():
            message = _key_fault(key)
            if message:
                yield (*path, key), message
            elif key_of(key) != key and key_of(key) in budget:
                message = f'that is "{key_of(key)}", which is there already; keep one'
                yield (*path, key), message
    yield from contradictions.groups_twice(spec)
    yield from _zone_faults(spec.get("schedules"))
    if not any(spec.get(member) for member in ("budget", "overrides", "perWorkload", "schedules")):
        yield (), "there is nothing that it bounds; add a budget or perWorkload"


def _zone_faults(found: Any) -> Iterator[Found]:
    for number, one in enumerate(found if isinstance(found, list) else ()):
        zone = one.get("timeZone", "UTC") if isinstance(one, dict) else None
        if isinstance(zone, str) and not _is_zone(zone):
            message = f'there is no time zone "{zone}"; write one such as Europe/Berlin'
            yield ("schedules", number, "timeZone"), message


_OF_OBJECTS = ("object", "namespaceObject")  # what is there has no request


def _match_faults(match: Any, path: tuple[str | int, ...]) -> Iterator[Found]:
    if not isinstance(match, dict):
        return
    if "subjects" in match:
        message = "what is there can't tell who made it; take it out, or write groupBy: user"
        yield (*path, "subjects"), message
    if "operations" in match:
        message = "a quota counts what is there, however it came to be; take it out"
        yield (*path, "operations"), message
    try:
        listed = tuple(matches.conditions(match.get("conditions")))
    except (AttributeError, KeyError, TypeError):
        listed = ()  # the schema has said what is wrong with its shape
    for number, (_, expression) in enumerate(listed):
        for message in conditions.of_match(expression, _OF_OBJECTS):
            yield (*path, "conditions", number), message
    yield from _match_faults(match.get("exclude"), (*path, "exclude"))


def _group_faults(found: Any) -> Iterator[Found]:
    path: tuple[str | int, ...] = ("groupBy",)
    expression = found
    if isinstance(found, dict):
        path, expression = ("groupBy", "expression"), found.get("expression")
    if not isinstance(expression, str) or (isinstance(found, str) and found in _WORDS):
        return
    if isinstance(found, str) and _WORD.fullmatch(found):
        yield path, f'"{found}" is none of {_KNOWN}{_group_meant(found)}'
        return
    try:
        conditions.compiled(expression, "STRING")
    except conditions.ExpressionError as error:
        hint = "" if isinstance(found, dict) else f"; known are {_KNOWN}"
        yield path, f"{error}{hint}"


_KNOWN = "namespace, user, queue, {namespaceLabel: KEY} and CEL expressions"
_WORD = re.compile(r"[\w-]+|namespaceLabel[ :=].*")  # an expression that gives a name is neither
_LABEL = re.compile(r"namespaceLabels?[ :=]*(.*)", re.IGNORECASE)


def _group_meant(word: str) -> str:
    label = _LABEL.fullmatch(word)
    nearest = "" if label else intents.nearest(word, _WORDS)
    key = (label[1] or "KEY") if label else word
    return nearest or f"; for a label of the namespace write {{namespaceLabel: {key}}}"


def budgets_of(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """List every budget of a policy as it is written, each with its path below `spec`."""
    yield ("budget",), spec.get("budget")
    yield ("perWorkload",), spec.get("perWorkload")
    overrides, schedules = spec.get("overrides"), spec.get("schedules")
    for number, one in enumerate(overrides if isinstance(overrides, list) else ()):
        if isinstance(one, dict):
            yield ("overrides", number, "budget"), one.get("budget")
    for number, one in enumerate(schedules if isinstance(schedules, list) else ()):
        if isinstance(one, dict):
            for path, budget in budgets_of(one):
                yield ("schedules", number, *path), budget


def of_no_class(
    spec: Mapping[str, Any], classes: Container[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find budgets of classes that aren't there: the path of each below `spec`, and the class."""
    for path, budget in budgets_of(spec):
        for key in budget if isinstance(budget, dict) else ():
            devices, dot, name = key.partition(".")
            if devices == DEVICES and dot and name not in classes:
                yield (*path, key), name


def _key_fault(key: str) -> str:
    if key.startswith(("limits.", "count/")):
        return "only requests are counted; write a resource's name, pods or accelerators"
    head, dot, name = key.partition(".")
    if head.lower() in ("accelerator", DEVICES) and "/" not in key:
        if head != DEVICES or (dot and not name):
            return f'write "{DEVICES}" or "{DEVICES}.CLASS"'
        return ""
    bare = key_of(key)
    if "/" in bare or bare in _RESOURCES or bare.startswith("hugepages-"):
        return ""
    return (
        "there is no such resource; write accelerators, accelerators.CLASS, pods, cpu, memory, "
        "or one with its domain, such as nvidia.com/gpu"
    )


def _is_zone(name: str) -> bool:
    import zoneinfo  # here, because hardly any policy has schedules

    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return name != "localtime"  # a file of some machines, of whatever zone they are in
