"""Injections that want different values in one place of one pod, and which of them wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policy_words import shown
from kubectl_ml.policylint import conditions, samples
from kubectl_ml.policylint.subjects import About, Subjects, at
from policies import intents
from policies.errors import UnusableIntent
from policies.model import InjectionPolicy

RULE = "conflict"
Setting: TypeAlias = tuple[str, str]  # a field, and what in it: ("env", "TEAM")
_MAPS = ("labels", "annotations", "nodeSelector", "dapr", "knative", "mesh")
_NAMED = ("env", "sidecars", "initContainers")
_PLAIN = (
    *("accelerator", "shm", "schedulerName", "priorityClassName", "runtimeClassName"),
    *("serviceAccountName", "terminationGracePeriodSeconds", "queue", "affinity"),
)
_DEEP = ("resources", "securityContext")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """What one policy sets somewhere, and where that is written."""

    policy: InjectionPolicy
    held: Held
    value: Any
    pointer: str


def find(subjects: Subjects) -> Iterator[Found]:
    """Find each pair of policies that want different things for one pod."""
    settings: dict[Setting, list[_Set]] = {}
    for policy in subjects.policies.injections:
        if policy.mode == "Apply":
            for setting, one in _settings(policy, subjects.injection(policy)):
                settings.setdefault(setting, []).append(one)
    for setting, several in settings.items():
        for first, second in combinations(several, 2):  # in the order in which they act
            if first.value != second.value and _meet(subjects, first, second):
                yield _finding(subjects, setting, first, second)


def _meet(subjects: Subjects, first: _Set, second: _Set) -> bool:
    """Tell whether some pod gets both, without a user who names both profiles."""
    if first.policy.opt_in and second.policy.opt_in:
        return False
    if not (subjects.linted(first.held) or subjects.linted(second.held)):
        return False
    matches = (first.policy.match, second.policy.match)
    return not conditions.never_both(*matches) and samples.of(matches) is not None


def _finding(subjects: Subjects, setting: Setting, first: _Set, second: _Set) -> Found:
    about, other = (second, first) if subjects.linted(second.held) else (first, second)
    field, name = setting
    message = (
        f"spec.inject.{field}{f' {name}' if name else ''} is {shown(about.value)}, and "
        f"{other.held.title} ({other.held.where}) makes it {shown(other.value)} in the same pods; "
        f"{_winner(first, second)}; make them equal, or keep their matches apart"
    )
    severity = ERROR if second.policy.on_conflict == "Deny" else WARNING
    return About(held=about.held, rule=RULE)(severity, message, about.pointer)


def _winner(first: _Set, second: _Set) -> str:
    match second.policy.on_conflict:
        case "Deny":
            return f'"{second.policy.name}" refuses those pods (onConflict: Deny)'
        case "Override":
            return f'"{second.policy.name}" wins (onConflict: Override)'
        case _:
            orders = f"order {first.policy.order} and {second.policy.order}"
            return f'"{first.policy.name}" wins, because it goes first ({orders})'


# --- what a policy sets -----------------------------------------------------------------------


def _settings(policy: InjectionPolicy, held: Held) -> Iterator[tuple[Setting, _Set]]:
    inject: Mapping[str, Any] = held.spec.get("inject") or {}
    for field, name, value, steps in _written(inject):
        pointer = at("spec", "inject", *steps)
        yield (field, name), _Set(policy=policy, held=held, value=value, pointer=pointer)


def _written(inject: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Sequence[Any]]]:
    """List the places that are set: field, what in it, value, where."""
    for field, value in inject.items():
        if field in _MAPS and isinstance(value, dict):
            yield from ((field, key, str(each), (field, key)) for key, each in value.items())
        elif field in _NAMED:
            yield from _named(field, value)
        elif field == "mounts":
            yield from _mounts(value)
        elif field in _DEEP:
            leaves = _leaves(value)
            yield from ((field, ".".join(path), leaf, (field, *path)) for path, leaf in leaves)
        elif field in _PLAIN:
            yield field, "", value, (field,)


def _named(field: str, value: Any) -> Iterator[tuple[str, str, Any, Sequence[Any]]]:
    for number, item in enumerate(value or ()):
        whole = item.get("container", item)
        rest = {key: each for key, each in whole.items() if key != "name"}
        shown_value = rest.get("value", rest) if field == "env" else rest
        # The two lists of containers share their names.
        yield (
            "env" if field == "env" else "container",
            str(whole.get("name")),
            shown_value,
            (field, number),
        )


def _mounts(value: Any) -> Iterator[tuple[str, str, Any, Sequence[Any]]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _mount(item, ("mounts", number))
    else:
        yield from _mount(value, ("mounts",))


def _mount(item: Any, steps: Sequence[Any]) -> Iterator[tuple[str, str, Any, Sequence[Any]]]:
    if isinstance(item, dict):
        yield "mounts", str(item.get("path")), str(item.get("source")), steps
        return
    try:
        for mount in intents.mounts(str(item)):
            yield "mounts", mount.path, mount.written, steps
    except UnusableIntent:
        return


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    else:
        yield path, value
