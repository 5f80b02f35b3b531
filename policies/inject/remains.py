"""
Remains: what stood where something of ours came, so that taking ours out leaves just that.

Where nothing was recorded, there was nothing, or what the API server writes where nothing is:
`resources: {}` into a container, `suspend: false` into a Job. Which of them is told by the object
itself: one that an API server has been over has the rest of its defaults too. So the record of a
manifest is the record of what the API server makes of it. All else is recorded: an empty map or
list or a null that the user wrote (`volumes: []`), and an absence where a default was to be
expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from policies.intents import INJECTED
from policies.patch import ABSENT, Draft, Path, lookup

if TYPE_CHECKING:
    from policies.inject.pod import PodDraft

# What every object that an API server has been over has: rest.BeforeCreate, the field managers.
_SYSTEMS = ("managedFields", "uid", "generation", "resourceVersion")
# Their APIs write no `suspend: false` where nothing was written: there it is the user's word.
UNDEFAULTED = frozenset({"JobSet", "RayCluster", "RayJob"})
QUEUE = "default"  # of Volcano's Jobs where none is written, says their CRD
_TO_RESOURCE = len(("spec", "containers", 0, "resources", "limits", "cpu"))


def default(obj: Any, path: Path) -> Any:
    """Tell what the API server has at `path` where nothing was written; ABSENT: nothing."""
    find = _of_request if "requests" in path else _DEFAULTS.get(path[-1]) if path else None
    return find(obj, path) if find else ABSENT


def before(pod: PodDraft, path: Path, current: Any, value: Any) -> Any:
    """Tell what counts as having been where `value` comes; ABSENT: nothing, or the default."""
    draft = pod.draft
    if path[-2:-1] == ("limits",):
        beside = _beside_limit(path)
        if draft.get(beside) == value and not pod.claimed(beside):
            draft.touched.append((beside, value))  # no consequence of ours
    if current is not None:
        return ABSENT if same(current, default(draft.object, draft.resolve(path))) else current
    if is_defaulted(path[-1]) and path[-1] not in (draft.get(path[:-1]) or ()):
        draft.touched.append((path, ABSENT))
    return ABSENT


def is_defaulted(name: Any) -> bool:
    """Tell whether the API server may write a member of this name by itself."""
    return name in _DEFAULTS


def deviations(pod: PodDraft, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """
    List what was at the places where ours came, unless it is what `default` tells.

    By pointer, for those places only that hold what `pod` claims; what earlier reviews have found
    stays where nothing else is known.
    """
    earlier = {**earlier, **pod.claims.was}
    touched = pod.draft.touched
    if not earlier:  # what wasn't there is as a rule the usual
        touched = [one for one in touched if one[1] is not ABSENT or is_defaulted(one[0][-1])]
        if not touched:
            return earlier
    holding = set(_holding(pod))
    found: dict[str, Any] = {}
    for path, value in touched:
        path = pod.draft.resolve(path)
        found.setdefault(pod.pointer(path), (value, default(pod.draft.original, path)))
    kept = {at: value for at, value in earlier.items() if at not in found and at in holding}
    new = {at: was for at, (was, usual) in found.items() if at in holding and not same(was, usual)}
    return kept | new


def same(one: Any, other: Any) -> bool:
    """Tell whether two values before are one, `false` and 0 apart."""
    return one is other or (type(one) is type(other) and bool(one == other))


def _holding(pod: PodDraft) -> Iterator[str]:
    """Go through the pointers of all that is ours and of all that holds it."""
    pointers = {at for _, at, _ in pod.claims}
    pointers.add(pod.pointer((*(pod.metadata or ()), "annotations", INJECTED)))
    for at in pointers:
        inside, _, name = at.rpartition("/")
        yield from (f"{inside}/{other}" for other in FOLLOWING.get(name, ()))
        yield at.replace("/limits/", "/requests/")
        while at:
            yield at
            at = at.rpartition("/")[0]


def put_back(draft: Draft, ours: Mapping[Path, Any], was: Mapping[Path, Any]) -> None:
    """
    Take out what is ours, or put back what was there, from the last to the first.

    `ours` says what was there by path, `was` what was where it differs from the usual: what held
    only ours is left as it was found, empty or not at all.
    """
    ours = {**dict(_following(draft.object, ours, was)), **ours}
    holders = {path[:depth] for path in ours for depth in range(1, len(path))}
    for path in sorted(holders | ours.keys(), key=_turn, reverse=True):
        usual = was[path] if path in was else default(draft.object, path)
        if path not in ours:
            if lookup(draft.object, path) in ({}, []):
                _leave(draft, path, usual)
        elif lookup(draft.object, path[:-1]) is not None:
            _leave(draft, path, usual if ours[path] is ABSENT else ours[path])


def places(pod: PodDraft, was: Mapping[str, Any]) -> dict[Path, Any]:
    """Find in the object what a record tells by pointers."""
    found: dict[Path, Any] = {}
    for at, value in was.items():
        path = pod.where(at)
        if path is None:  # where nothing was, nothing need be
            parent, _, last = at.rpartition("/")
            inside = pod.where(parent)
            path = None if inside is None else (*inside, last)
        if path:
            found[path] = value
    return found


def _following(
    obj: Any, ours: Mapping[Path, Any], was: Mapping[Path, Any]
) -> Iterator[tuple[Path, Any]]:
    """Find what the API server has made of ours: an old name, a class's priority, a request."""
    for path, there in ours.items():
        for name in FOLLOWING.get(path[-1], ()):
            other = (*path[:-1], name)
            resolved = name in _RESOLVED and there is ABSENT
            made = resolved or lookup(obj, other) == lookup(obj, path)
            if other in was or (made and _is_pod(lookup(obj, path[:-1]))):
                yield other, ABSENT if other in was else there
        if _is_of_pod(obj, path) and path[4] == "limits":
            other = _beside_limit(path)
            if other in was or lookup(obj, other) == lookup(obj, path):
                yield other, ABSENT if other in was else there


def _beside_limit(path: Path) -> Path:
    return (*path[:-2], "requests", path[-1])


def _turn(path: Path) -> Any:
    """Put requests back after limits, from which those of a Pod are made."""
    return position(tuple("" if step == "requests" else step for step in path))


def _leave(draft: Draft, path: Path, value: Any) -> None:
    if value is ABSENT:
        if lookup(draft.object, path) is not None:
            draft.take_out(path)
    else:
        draft.set(path, value)


def position(path: Path) -> tuple[tuple[bool, Any], ...]:
    """Give the order of paths in an object: of elements by their number."""
    return tuple((isinstance(step, int), step) for step in path)


def _of_container(obj: Any, path: Path) -> Any:
    return {} if _is_container(lookup(obj, path[:-1])) else ABSENT


def _of_request(obj: Any, path: Path) -> Any:
    """Give the limit, which SetDefaults_Pod copies; a template's pods get theirs later."""
    limit = lookup(obj, (*path[:4], "limits", path[-1])) if _is_of_pod(obj, path) else None
    return ABSENT if limit is None else limit


def _is_of_pod(obj: Any, path: Path) -> bool:
    """Tell whether a path leads to one resource of a container of a Pod that is served."""
    return (
        len(path) == _TO_RESOURCE
        and (path[0], path[3]) == ("spec", "resources")
        and obj.get("kind") == "Pod"
        and _is_container(lookup(obj, path[:3]))
    )


def _of_pod(value: Any) -> Callable[[Any, Path], Any]:
    return lambda obj, path: value if _is_pod(lookup(obj, path[:-1])) else ABSENT


def _of_template(obj: Any, path: Path) -> Any:
    for spec in (("spec",), ("spec", "template", "spec")):
        if _is_pod(lookup(obj, (*path[:-1], *spec))):
            return {}
    return ABSENT


def _by_plugin(value: Any) -> Callable[[Any, Path], Any]:
    """Only a Pod's is set, by an admission plugin: ServiceAccount, Priority."""
    return lambda obj, path: (
        value if path[:-1] == ("spec",) and _is_pod(lookup(obj, path[:-1])) else ABSENT
    )


def _of_suspend(obj: Any, path: Path) -> Any:
    inside = lookup(obj, path[:-1])
    if path == ("spec", "runPolicy", "suspend"):
        if not isinstance(inside, dict) or not inside.keys() - {"suspend"}:
            return ABSENT  # into what isn't there no default comes
    elif path != ("spec", "suspend"):
        return ABSENT
    return False if _is_served(obj) and obj.get("kind") not in UNDEFAULTED else ABSENT


def _of_volcano(obj: Any, path: Path) -> Any:
    own = str(obj.get("apiVersion")).startswith("batch.volcano.sh/") and _is_served(obj)
    at = (("spec", "queue"), ("spec", "jobTemplate", "spec", "queue"))
    return QUEUE if own and path in at else ABSENT


def _is_served(obj: Any) -> bool:
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    return any(metadata.get(member) for member in _SYSTEMS) or "completionMode" in spec


def _of_job(obj: Any, path: Path) -> Any:
    """Give a Job's labels: SetDefaults_Job copies its template's, each time one is read."""
    if path != ("metadata", "labels") or lookup(obj, ("spec", "completionMode")) is None:
        return ABSENT
    labels = lookup(obj, ("spec", "template", "metadata", "labels"))
    return dict(labels) if labels else ABSENT


def _is_container(node: Any) -> bool:
    return isinstance(node, dict) and "terminationMessagePath" in node and "imagePullPolicy" in node


def _is_pod(node: Any) -> bool:
    containers = node.get("containers") if isinstance(node, dict) else None
    return (
        isinstance(containers, list)
        and bool(containers)
        and _is_container(containers[0])
        and {"dnsPolicy", "restartPolicy"} <= node.keys()
    )


# pkg/apis/core/v1/defaults.go, pkg/apis/batch/v1/defaults.go; a template's metadata is no pointer.
_DEFAULTS: dict[Any, Callable[[Any, Path], Any]] = {
    "resources": _of_container,
    "securityContext": _of_pod({}),
    "metadata": _of_template,
    "schedulerName": _of_pod("default-scheduler"),
    "terminationGracePeriodSeconds": _of_pod(30),
    "serviceAccountName": _by_plugin("default"),
    "serviceAccount": _by_plugin("default"),
    "priority": _by_plugin(0),
    "preemptionPolicy": _by_plugin("PreemptLowerPriority"),
    "suspend": _of_suspend,
    "queue": _of_volcano,
    "labels": _of_job,
}
_RESOLVED = ("priority", "preemptionPolicy")
FOLLOWING: dict[Any, tuple[str, ...]] = {
    "serviceAccountName": ("serviceAccount",),
    "priorityClassName": _RESOLVED,
}
