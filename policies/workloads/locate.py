"""
Where pods hide: every pod template of a workload, with its role, and what hides objects in it.

    locate.templates(deployment, kind)
    -> (Template(role="pod", pod_spec=("spec", "template", "spec"), …),)

Templates of objects inside an object (a Katib trial, a component of an AppWrapper) are found as
its own. Strings are never changed, so placeholders in them stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from policies import manifests
from policies.intents import INJECTED
from policies.patch import Path, Step, lookup
from policies.workloads import catalogue as catalogues
from policies.workloads import paths
from policies.workloads.catalogue import Catalogue, Embedded, Kind, Role
from policies.workloads.paths import WILDCARD

MAX_DEPTH = 4  # objects in objects in objects
# What strings are that hold no objects.
NO_OBJECTS = frozenset(
    {
        "a patch of every pod",
        "a patch of the template's pods",
        "the configuration of Ray Serve",
    }
)
_OURS = ("manager", "kubectl-ml.io/intents")  # nobody else writes there
_NOTHING_SAID = "it is a string that can't be read as an object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One pod template of one object: paths from the object's root."""

    role: str
    pod_spec: Path
    metadata: Path | None
    definition: Role
    kind: Kind  # of the object that it is part of, which may lie inside another
    base: Path = ()  # where that object lies; empty: it is the object itself
    element: Path = ()  # what the last wildcard met
    element_name: str = ""  # its name, by which it is known again wherever it moves

    @property
    def identity(self) -> tuple[Any, ...]:
        """By what a template is known again in a later version of its object."""
        return self.base, self.role, self.definition.text, self.element_name

    @property
    def keyed(self) -> bool:
        """Tell whether its paths have (key, value) steps."""
        return self.definition.container is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What lies in an object at `path`: whole objects, or the reason why they can't be told."""

    path: Path
    what: str
    objects: tuple[Any, ...] = ()
    opaque: str = ""  # why it can't be read; empty: it can


def templates(
    obj: Any, kind: Kind, known: Catalogue | None = None, *, depth: int = 0
) -> tuple[Template, ...]:
    """Find the pod templates that `obj` holds, in the catalogue's order."""
    found: list[Template] = []
    for role in kind.roles:
        if role.unless and any(lookup(obj, one) is not None for one in role.unless):
            continue
        if WILDCARD in role.pod_spec:
            found.extend(_each(obj, role, kind))
        elif role.only and not (_holds(role, obj) or _is_signed(role, obj)):
            continue
        elif role.container or _is_there(obj, role.pod_spec, role):
            found.append(
                Template(
                    role=role.name,
                    pod_spec=role.pod_spec,
                    metadata=role.metadata,
                    definition=role,
                    kind=kind,
                )
            )
    if kind.embedded and depth < MAX_DEPTH:
        found.extend(_inside(obj, kind, known or catalogues.builtin(), depth))
    return tuple(found)


def hidden(obj: Any, kind: Kind) -> tuple[Hidden, ...]:
    """Find what hides objects in `obj`; strings that can't be read are said to be opaque."""
    return tuple(
        _read(lookup(obj, at), at, place)
        for place in kind.embedded
        for at in paths.expand(obj, place.path)
        if lookup(obj, at) is not None
    )


def objects(obj: Any, kind: Kind, known: Catalogue) -> list[tuple[Path, Any, Kind]]:
    """Find the whole objects inside `obj` whose kind is known: where, what and of which kind."""
    found = []
    for place in kind.embedded:
        if place.format != "object":
            continue
        for at in paths.expand(obj, place.path):
            inner = lookup(obj, at)
            inner_kind = known.named(place.kind) if place.kind else known.of(inner)
            if inner_kind is not None and isinstance(inner, dict):
                found.append((at, inner, inner_kind))
    return found


def strings(obj: Any, kind: Kind) -> list[Path]:
    """Find the strings where others write whole objects; nothing can be added to what they hold."""
    return [
        at
        for place in kind.embedded
        if place.format == "object"
        for at in paths.expand(obj, place.path)
        if isinstance(lookup(obj, at), str)
    ]


def in_strings(obj: Any, kind: Kind, known: Catalogue) -> list[tuple[Path, Any, Kind]]:
    """Find the whole objects in such strings whose kind is known."""
    held = set(strings(obj, kind))
    return [
        (one.path, inner, found)
        for one in (hidden(obj, kind) if held else ())
        if one.path in held
        for inner in one.objects
        if (found := known.of(inner)) is not None
    ]


def element_names(obj: Any, kind: Kind) -> list[str]:
    """Name the elements that may hold a template, such as a pipeline's tasks, if they do or not."""
    found: list[Any] = []
    for role in kind.roles:
        if role.name == WILDCARD and WILDCARD in role.pod_spec:
            last = len(role.pod_spec) - 1 - role.pod_spec[::-1].index(WILDCARD)
            found += paths.each(obj, (*role.pod_spec[: last + 1], "name"))
    return [one for one in found if isinstance(one, str)]


def written(at: Path) -> str:
    """Write a path as the catalogue does."""
    text = ""
    for step in at:
        if isinstance(step, tuple):
            text += f"[{step[0]}={step[1]}]"
        else:
            text += f".{step}"
    return text.removeprefix(".")


def _holds(role: Role, value: Any) -> bool:
    return all(one.holds(value) for one in role.only)


def _is_signed(role: Role, obj: Any) -> bool:
    """Tell whether we added to an override before, knowing more of the cluster than the object."""
    at = role.metadata
    if not role.container or at in (None, ("metadata",)):
        return False
    record = (*at, "annotations", INJECTED)
    return lookup(obj, at if _OURS in at else record) is not None


def _is_there(obj: Any, pod_spec: Path, role: Role) -> bool:
    found = lookup(obj, pod_spec)
    if found is None and role.implied:
        return isinstance(lookup(obj, pod_spec[:-1]), dict)
    if found.__class__ is not dict:
        return False
    return not role.needs or any(found.get(member) is not None for member in role.needs)


def _each(obj: Any, role: Role, kind: Kind) -> list[Template]:
    found: list[Template] = []
    names: set[str] = set()
    for pod_spec in paths.expand(obj, role.pod_spec):
        last = len(role.pod_spec) - 1 - role.pod_spec[::-1].index(WILDCARD)
        element = pod_spec[: last + 1]
        if role.only and not _holds(role, lookup(obj, element)):
            continue
        if not (role.container or _is_there(obj, pod_spec, role)):
            continue
        name = _element_name(obj, element)
        if name in names:  # two of one name: the place tells them apart
            name = written(element)
        names.add(name)
        found.append(
            Template(
                role=_role_name(role, element, lookup(obj, element)),
                pod_spec=pod_spec,
                metadata=role.metadata and _filled(role.metadata, pod_spec),
                definition=role,
                kind=kind,
                element=element,
                element_name=name,
            )
        )
    return found


def _filled(at: Path, like: Path) -> Path:
    """Put the steps that wildcards met in `like` into `at`."""
    return tuple(
        like[index] if step == WILDCARD and index < len(like) else step
        for index, step in enumerate(at)
    )


def _role_name(role: Role, element: Path, member: Any) -> str:
    if role.name != WILDCARD:
        return role.name
    step: Step = element[-1]
    if isinstance(step, str):
        return step.lower()
    name = member.get("name") if isinstance(member, dict) else None
    return name if isinstance(name, str) and name else str(step)


def _element_name(obj: Any, element: Path) -> str:
    """Name the elements that wildcards met on the way, each by its name where it has one."""
    names = []
    for end, step in enumerate(element, start=1):
        if isinstance(step, int):
            member = lookup(obj, element[:end])
            members = member if isinstance(member, dict) else {}
            name = members.get("name") or members.get("groupName")
            names.append(name if isinstance(name, str) else str(step))
        else:
            names.append(str(step))
    return "/".join(names)


def _inside(obj: Any, kind: Kind, known: Catalogue, depth: int) -> list[Template]:
    """Find the templates of the objects inside `obj`."""
    found = []
    for base, inner, inner_kind in objects(obj, kind, known):
        for one in templates(inner, inner_kind, known, depth=depth + 1):
            found.append(
                Template(
                    role=one.role,
                    pod_spec=(*base, *one.pod_spec),
                    metadata=None if one.metadata is None else (*base, *one.metadata),
                    definition=_moved(one.definition, base),
                    kind=one.kind,
                    base=(*base, *one.base),
                    element=(*base, *one.element) if one.element else (),
                    element_name=one.element_name,
                )
            )
    return found


@lru_cache(maxsize=256)
def _moved(role: Role, base: Path) -> Role:
    """Give a role whose container's overrides lie below `base`."""
    overrides = role.container
    if overrides is None:
        return role
    moved = catalogues.ContainerOverrides(
        name=overrides.name,
        resources=(*base, *overrides.resources),
        env=(*base, *overrides.env),
    )
    return replace(
        role,
        pod_spec=(*base, *role.pod_spec),
        metadata=None if role.metadata is None else (*base, *role.metadata),
        container=moved,
    )


def _read(value: Any, at: Path, place: Embedded) -> Hidden:
    """Read what is embedded; whatever can't be read is said to be opaque."""
    what = place.what
    if not isinstance(value, str):
        if isinstance(value, dict) and place.format in ("object", "json"):
            return Hidden(path=at, what=what, objects=(value,))
        return Hidden(path=at, what=what, opaque="it is no object")
    try:
        parsed = _parsed(value, place.format)
    except (ValueError, manifests.InvalidYAML):
        return Hidden(path=at, what=what, opaque=_NOTHING_SAID)
    found = tuple(one for one in parsed if isinstance(one, dict))
    if not found:
        return Hidden(path=at, what=what, opaque=_NOTHING_SAID)
    return Hidden(path=at, what=what, objects=found)


def _parsed(text: str, form: str) -> list[Any]:
    if form == "json" and text.lstrip().startswith(("{", "[")):
        return [orjson.loads(text)]
    return list(manifests.documents(text))
