"""
Restoring: on an UPDATE, what we had injected is given back where the request dropped it.

What the old object's provenance claims is looked up there, found again in the new object by name
rather than by index, and put back if it is missing. What the user changed since is the user's.
`withdraw` is the opposite: it takes out what we had added, where it is still as we left it.
"""

from __future__ import annotations

from typing import Any

from policies.inject import provenance, remains
from policies.inject.pod import PodDraft, covers
from policies.inject.provenance import Claims
from policies.patch import ABSENT, Path, Step, lookup

_OURS = "manager"  # a TrainJob's runtime patches: one of them is wholly ours
_MANAGER = "kubectl-ml.io/intents"
_TARGETS = "targetJobs"  # of older TrainJobs' overrides: those of other jobs are others'
_KEYS = ("mountPath", "name", _OURS, _TARGETS)  # that elements of lists are known by
_APART = (_OURS, _TARGETS)  # of lists that several write


def give_back(pod: PodDraft, old: Any, claims: Claims, *, old_base: PodDraft) -> None:
    """Put back what `claims` say was ours in `old`; the claims that still hold move to `pod`."""
    pod.claims.revisions.update(claims.revisions)
    pod.claims.was.update(claims.was)
    sources = [(old_base.where(at), policy, before) for policy, at, before in claims]
    for source, policy, before in sorted(sources, key=lambda item: remains.position(item[0] or ())):
        target = source and _give_back(pod, old, source, before)
        if target:
            pod.claims.add(policy, pod.pointer(target), before)


def withdraw(pod: PodDraft, old: Any, claims: Claims, *, old_base: PodDraft) -> None:
    """Take out what `claims` say was ours in `old`, where the new object still has it so."""
    found: dict[Path, Any] = {}
    for _, at, before in claims:
        source = old_base.where(at)
        target = source and _counterpart(pod, old, source)
        if source and target and pod.draft.get(target) == lookup(old, source):
            found[pod.draft.resolve(target)] = before  # the same for all that claim it
    remains.put_back(pod.draft, found, remains.places(pod, claims.was))


def _give_back(pod: PodDraft, old: Any, source: Path, before: Any) -> Path | None:
    value = lookup(old, source)
    parent = _counterpart(pod, old, source[:-1], missing=True)
    if parent is None:
        return None
    last = source[-1]
    if isinstance(last, int):
        items = pod.draft.get(parent) or []
        if not isinstance(items, list):
            return None
        index = _same(items, value)
        if index < 0:
            return (*parent, pod.draft.append(parent, value))
        last = index
    target = (*parent, last)
    current = pod.draft.get(target)
    if before is ABSENT:
        before = remains.default(pod.draft.object, pod.draft.resolve(target))
    if current is None or (before is not ABSENT and current == before):
        pod.draft.set(target, value)
        return target
    return target if covers(current, value) else None


def _counterpart(pod: PodDraft, old: Any, source: Path, *, missing: bool = False) -> Path | None:
    """
    Find in the new object what is at `source` in the old: members by name, elements by theirs.

    None where it isn't there; with `missing`, maps and lists that aren't there count as there.
    """
    path: tuple[Step, ...] = ()
    node, new, made = old, pod.draft.object, False
    for step in source:
        node = lookup(node, (step,))
        if isinstance(step, int):
            key = _key(node)
            index = _same(new, node, step) if isinstance(new, list) else -1
            if index < 0 and not (
                missing and key and (made or key in _APART or (pod.keyed and new is None))
            ):
                return None
            made = made or index < 0 or (key == _OURS and node[key] == _MANAGER)
            step = index if index >= 0 else _named(node, key)
        elif not isinstance(new, dict) and not (missing and new is None):
            return None
        path = (*path, step)
        new = lookup(new, (step,))
        if new is None and not missing:
            return None
    return path


def _same(items: list[Any], wanted: Any, at: int = -1) -> int:
    """
    Find the element that is the same one: of the same key, else an equal one.

    Else, with `at`, the one in the same place, if `wanted` is that with something added.
    """
    key = _key(wanted)
    there = items[at] if 0 <= at < len(items) else None
    if key and isinstance(there, dict) and there.get(key) == wanted[key]:
        return at  # of two with one name, the one in the same place
    for index, item in enumerate(items):
        same = isinstance(item, dict) and item.get(key) == wanted[key] if key else item == wanted
        if same:
            return index
    return at if not key and 0 <= at < len(items) and covers(wanted, items[at]) else -1


def _key(item: Any) -> str:
    """Tell which member an element of a list is known by; empty: none."""
    return next((name for name in _KEYS if isinstance(item, dict) and name in item), "")


def _named(item: Any, key: str) -> Step:
    """Give the step to an element that isn't there, by which it is made."""
    if key == _TARGETS:
        return f"{_TARGETS}.name", str(lookup(item, (_TARGETS, 0, "name")))
    return key, item[key]


def claims_of(pod: PodDraft, annotation: Any) -> Claims:
    """Read the claims of an object's annotation that point at something it has."""
    claims = provenance.read(annotation)
    kept = Claims(revisions=claims.revisions, was=claims.was)
    for policy, found in claims.by_policy.items():
        kept.by_policy[policy] = {
            at: before for at, before in found.items() if pod.where(at) is not None
        }
    return kept
