"""
Which containers of a pod receive: those that `containers` names, else the kind's primary one,
else `kubectl.kubernetes.io/default-container`, else the first.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from policies.inject import provenance
from policies.inject.pod import DEFAULT_CONTAINER, Container, PodDraft, annotation
from policies.intents import Intents, nearest
from policies.patch import Path, lookup
from policies.workloads.catalogue import Role

POLICY = "intents"
# Containers of injectors that may have run before us, and may have put theirs first.
INJECTED_BY_OTHERS = frozenset(
    {"istio-proxy", "linkerd-proxy", "daprd", "queue-proxy", "vault-agent", "consul-dataplane"}
)
_IN_CONTAINER = re.compile(r"^/spec/containers/(\d{1,3})(/.+)$", re.ASCII)
INTENT = "kubectl-ml.io/containers"
RESOURCES = "resources"


def containers(
    pod: PodDraft, intents: Intents, role: Role | None, primary: str, *, resources: str = RESOURCES
) -> tuple[Container, ...]:
    """
    Find the receiving containers; a name that isn't there is refused.

    `resources` is the member of a container in which this template's kind has them.
    """
    found = _chosen(pod, intents, role, primary)
    if resources == RESOURCES:
        return found
    return tuple(replace(one, resources=(*one.path, resources)) for one in found)


def _chosen(
    pod: PodDraft, intents: Intents, role: Role | None, primary: str
) -> tuple[Container, ...]:
    if role and role.container:
        return (_overridden(pod, role),)
    present = _present(pod, role)
    if intents.containers:
        missing = [name for name in intents.containers if name not in present]
        for name in missing:
            hint = nearest(name, present) or "; it has " + ", ".join(present)
            pod.refuse(POLICY, f'{INTENT}: there is no container "{name}"{hint}', code=422)
        return tuple(present[name] for name in intents.containers if name in present)
    named = annotation(pod.draft.object, pod.metadata, DEFAULT_CONTAINER)
    for name in (primary, named):
        if isinstance(name, str) and name in present:
            return (present[name],)
    return _first(pod, role)


def _first(pod: PodDraft, role: Role | None) -> tuple[Container, ...]:
    for member in role.inline if role else ():
        if isinstance(pod.get(member), dict):
            return (_container(member, (*pod.spec, member)),)
    for path in role.lists if role else ():
        at = (*pod.spec, *path)
        if pod.draft.get(at):
            name = pod.draft.get((*at, 0, "name"))
            return (_container(name if isinstance(name, str) else "", (*at, 0)),)
    if pod.get("containers"):
        index = _received_before(pod)
        name = pod.get("containers", index, "name")  # Knative lets a container go without a name
        at = (*pod.spec, "containers", index)
        return (_container(name if isinstance(name, str) else "", at),)
    return ()


def _received_before(pod: PodDraft) -> int:
    """
    Find the container that received when we were asked before, else the user's first.

    Another webhook may have put a container of its own first since (a strategic merge does).
    """
    received: dict[int, list[str]] = {}
    for _, at, _ in pod.prior:
        found = _IN_CONTAINER.match(at)
        if found:
            received.setdefault(int(found.group(1)), []).append(found.group(2))
    if len(received) != 1:
        return _first_of_the_users(pod)
    ((first, pointers),) = received.items()
    for index in range(first, len(pod.get("containers"))):
        base = (*pod.spec, "containers", index)
        if all(provenance.find(pod.draft.object, base, at) for at in pointers):
            return index
    return 0


def _first_of_the_users(pod: PodDraft) -> int:
    """Find the first container that isn't known to be another injector's; 0 if all are."""
    for index, item in enumerate(pod.get("containers")):
        name = item.get("name")
        if not isinstance(name, str) or name not in INJECTED_BY_OTHERS:
            return index
    return 0


def _present(pod: PodDraft, role: Role | None) -> dict[str, Container]:
    found: dict[str, Container] = {}
    lists = role.lists if role else ()
    for member in (("containers",), ("initContainers",), *lists):
        path = (*pod.spec, *member)
        for index, item in enumerate(pod.draft.get(path) or ()):
            name = item.get("name")
            if isinstance(name, str):
                found.setdefault(name, _container(name, (*path, index)))
    for inline in role.inline if role else ():
        item = pod.get(inline)
        if isinstance(item, dict):
            name = str(item.get("name") or role.primary or inline) if role else inline
            found.setdefault(name, _container(name, (*pod.spec, inline)))
    return found


def _container(name: str, path: Path) -> Container:
    return Container(name=name, path=path, resources=(*path, RESOURCES), env=(*path, "env"))


def _overridden(pod: PodDraft, role: Role) -> Container:
    overrides = role.container
    assert overrides is not None  # noqa: S101 -- the caller asked
    return Container(
        name=overrides.name,
        path=(*pod.spec, "containers", ("name", overrides.name)),
        resources=overrides.resources,
        env=overrides.env,
    )


def walkable(obj: Any, path: Path) -> bool:
    """Tell whether what is on the way of `path` so far is maps and lists."""
    node = obj
    for step in path:
        if node is None:
            return True
        if not isinstance(node, list if isinstance(step, (int, tuple)) else dict):
            return False
        node = lookup(node, (step,))
    return node is None or isinstance(node, dict)
