"""Device classes that nobody can use, and names of classes and data sources that there are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kubectl_ml import findings
from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint.subjects import About, Subjects, at
from kubectl_ml.suggest import did_you_mean
from policies import intents
from policies.errors import UnusableIntent
from policies.guard import lists
from policies.model import Accelerator, GuardPolicy, InjectionPolicy, Match

RULE = "unused-class"
_GLOB = frozenset("*?[")
_LISTS = ("allow", "deny")
_CLASS, _SOURCE = "device class", "data source"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A name, or a glob, that a policy writes for a class or a source."""

    what: str
    name: str
    steps: tuple[Any, ...]


def find(subjects: Subjects) -> Iterator[Found]:
    """Find all of these."""
    yield from _unused(subjects)
    known = {
        _CLASS: set(subjects.policies.accelerators),
        _SOURCE: {one.rpartition("/")[2] for one in subjects.policies.data_sources},
    }
    for held, named in _names(subjects):
        for one in named if subjects.linted(held) else ():
            yield from _unknown(About(held=held, rule="names"), one, known[one.what])


# --- classes ----------------------------------------------------------------------------------


def _unused(subjects: Subjects) -> Iterator[Found]:
    first: dict[Any, Accelerator] = {}
    accelerators = subjects.policies.accelerators.values()
    for one in sorted(accelerators, key=lambda each: subjects.linted(subjects.accelerator(each))):
        held = subjects.accelerator(one)
        other = first.setdefault(_devices(one), one)
        if not subjects.linted(held):
            continue
        about = About(held=held, rule=RULE)
        try:
            intents.devices(f"{one.name}:1")
        except UnusableIntent as error:
            yield about(ERROR, f"no intent can name it: {error}", at("metadata", "name"))
        if other is not one:
            yield about(
                WARNING,
                f'these are the devices of the class "{other.name}" '
                f"({subjects.accelerator(other).where}), by the same resource and node labels; "
                "name that one, or tell them apart by nodeSelector",
                at("spec"),
            )
        yield from _refused(about, one, subjects)


def _refused(about: About, one: Accelerator, subjects: Subjects) -> Iterator[Found]:
    """Find guards that let nobody ask for a class."""
    for guard in subjects.policies.guards:
        if guard.enforcement == "Deny" and _is_for_all(guard.match) and _refuses(guard, one.name):
            held = subjects.guard(guard)
            message = (
                f"{held.title} ({held.where}) refuses it everywhere, so nobody can use it; "
                "name it in spec.checks.accelerators.classes there, or take it out"
            )
            yield about(WARNING, message, at("metadata", "name"))


def _is_for_all(match: Match) -> bool:
    """Tell whether every pod with a device is meant."""
    return match in (
        Match(),
        Match(kinds=("Pod",)),
        Match(intents=("accelerator",)),
        Match(kinds=("Pod",), intents=("accelerator",)),
    )


def _refuses(guard: GuardPolicy, name: str) -> bool:
    check = guard.checks.get("accelerators")
    if not isinstance(check, dict):
        return False
    found = lists.read(check, "classes")
    denied = any(entry.within is None and entry.names([name]) for entry in found.deny)
    allowed = found.allow is None or any(entry.names([name]) for entry in found.allow)
    return denied or not allowed


def _devices(one: Accelerator) -> Any:
    """Tell devices apart as the scheduler does: by what is asked for, and on which nodes."""
    labels = frozenset(
        (key, value if isinstance(value, str) else frozenset(value))
        for key, value in one.node_selector.items()
    )
    extra = frozenset(one.extra_resources.items())
    asked = (one.resource, one.device_class_name, one.resource_claim_template_name)
    return asked, extra, labels, one.runtime_class_name, _frozen(one.env)


def _frozen(value: Any) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


# --- names ------------------------------------------------------------------------------------


def _unknown(about: About, one: _Named, known: Iterable[str]) -> Iterator[Found]:
    pointer = at("spec", *one.steps)
    written = findings.field_path(pointer)
    if _GLOB & {*one.name}:
        if not any(fnmatchcase(name, one.name) for name in known):
            message = (
                f'{written}: "{one.name}" is the name of no {one.what}; mend it or take it out'
            )
            yield about(WARNING, message, pointer)
    elif one.name not in known:
        near = _near(one.name, known)
        yield about(ERROR, f'{written}: there is no {one.what} "{one.name}"{near}', pointer)


def _near(name: str, known: Iterable[str]) -> str:
    found = did_you_mean(name, sorted(known))
    return found if "did you mean" in found else "; mend it or take it out"


def _names(subjects: Subjects) -> Iterator[tuple[Held, Iterator[_Named]]]:
    """List the names of classes and sources that policies write."""
    for guard in subjects.policies.guards:
        yield subjects.guard(guard), _checked(guard.checks)
    for policy in subjects.policies.injections:
        yield subjects.injection(policy), _injected(policy)


def _checked(checks: Mapping[str, Any]) -> Iterator[_Named]:
    classes, mounts = checks.get("accelerators"), checks.get("mounts")
    yield from _listed(_CLASS, classes, ("checks", "accelerators"), "classes")
    most = classes.get("maxPerPod") if isinstance(classes, dict) else None
    for name in most if isinstance(most, dict) else ():
        yield _Named(what=_CLASS, name=name, steps=("checks", "accelerators", "maxPerPod", name))
    for one in _listed(_SOURCE, mounts, ("checks", "mounts"), "sources"):
        if "://" not in one.name and not _GLOB & {*one.name}:
            yield one


def _listed(what: str, check: Any, steps: tuple[Any, ...], member: str) -> Iterator[_Named]:
    if not isinstance(check, dict):
        return
    inner = check.get(member)
    parts: list[tuple[tuple[str, ...], Any]] = [((one,), check.get(one)) for one in _LISTS]
    if isinstance(inner, dict):
        parts += [((member, one), inner.get(one)) for one in _LISTS]
    else:
        parts.append(((member,), inner))
    for where, found in parts:
        for number, one in enumerate(found or ()):
            name = one if isinstance(one, str) else one.get("name", one.get("class", ""))
            name = name or one.get("source", "")
            yield _Named(what=what, name=str(name), steps=(*steps, *where, number))


def _injected(policy: InjectionPolicy) -> Iterator[_Named]:
    inject = policy.inject
    for device in intents.devices(inject.accelerator) if inject.accelerator else ():
        yield _Named(what=_CLASS, name=device.device_class, steps=("inject", "accelerator"))
    for item in inject.mounts:
        for mount in intents.mounts(item):
            if not mount.scheme:
                yield _Named(what=_SOURCE, name=mount.source, steps=("inject", "mounts"))
