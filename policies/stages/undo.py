"""
Undoing: what we added is taken out and what we overrode is put back, as provenance tells.

Nothing is half undone: where provenance doesn't tell enough, that is named and nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.inject import provenance, queue, remains
from policies.inject.pod import PodDraft, annotation
from policies.inject.provenance import Claims
from policies.intents import INJECTED, PREFIX
from policies.model import Manifest
from policies.patch import ABSENT, Draft, Path, lookup, pointer
from policies.stages import pod as pod_stage
from policies.stages.context import Context
from policies.stages.work import METADATA, Work
from policies.workloads.catalogue import Kind

_POD = "Pod"
_PATCHES = ("spec", "runtimePatches")  # of a TrainJob, whose elements are their manager's alone
# of one of an older Trainer, where an element that says nothing is as good as none
_OVERRIDES = (("spec", "podTemplateOverrides"), ("spec", "podSpecOverrides"))
_KEYS = frozenset({"manager", "name", "targetJobs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """An object without what we added; `left` says what can't be undone, and then all is left."""

    object: Manifest
    left: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what was undone unchecked


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """One value that is ours: where it is from the object's root, and who added it."""

    role: str  # of the template that holds it; empty: the object itself
    policy: str  # policy@digest
    path: Path
    value: Any
    before: Any = ABSENT  # what was there, where a policy overrode


@dataclass(slots=True, kw_only=True)
class _Undoing:
    draft: Draft
    authors: dict[Path, str] = field(default_factory=dict)
    found: dict[Path, Any] = field(default_factory=dict)  # what is ours, with what was there
    was: dict[Path, Any] = field(default_factory=dict)  # what was there instead of the usual
    shells: list[Path] = field(default_factory=list)  # elements made to hold what is ours
    signed: list[Path] = field(default_factory=list)  # the provenance annotations
    left: dict[str, None] = field(default_factory=dict)  # an ordered set

    def read(self, pod: PodDraft) -> None:
        """Find what one provenance annotation claims."""
        if pod.metadata is None:
            return
        text = annotation(self.draft.object, pod.metadata, INJECTED)
        if text is None:
            return
        at = (*pod.metadata, "annotations", INJECTED)
        claims = provenance.read(text)
        if not claims.by_policy:
            self.left[f"{pointer(at)} can't be read; undo by hand what was added"] = None
        self._claimed(pod, claims)
        self.was.update(remains.places(pod, claims.was))
        self.signed.append(at)

    def _claimed(self, pod: PodDraft, claims: Claims) -> None:
        unknown = [
            policy.rpartition("@")[0] for policy, entries in claims.by_policy.items() if not entries
        ]
        if unknown:
            self.left[
                f"{', '.join(sorted(unknown))}: more was added than provenance can hold, "
                "so it isn't known what; "
                "go back to the manifest that you applied, or take it out by hand"
            ] = None
        for policy, at, before in claims:
            path = pod.where(at)
            if path is None and queue.is_kueues(at):
                continue  # Kueue has taken it away
            if path is None:
                name = policy.rpartition("@")[0]
                self.left[
                    f"{name}: {at} is gone, so it was edited since; "
                    "put it back, or take out by hand what was added"
                ] = None
            elif path == ("spec", "containers", 0):  # a pod has its own first one: this is forged
                self.left[f"{pointer(path)} is no container of ours; take {INJECTED} out"] = None
            else:
                self.found.setdefault(path, before)
                self.authors.setdefault(path, policy)

    def find_shells(self, base: Path) -> None:
        """Find the elements that may be wholly ours in a TrainJob's lists, the last first."""
        for at in (_PATCHES, *_OVERRIDES):
            found = lookup(self.draft.object, (*base, *at))
            for index in reversed(range(len(found) if isinstance(found, list) else 0)):
                manager = str(lookup(found, (index, "manager")))
                one = (*base, *at, index)
                if at is not _PATCHES:
                    self.shells += _containers(self.draft.object, one)
                if at is not _PATCHES or manager.startswith(PREFIX):
                    self.shells.append(one)

    def carry_out(self) -> Manifest:
        """Take out all that is ours, and then the elements that held nothing else."""
        signed = dict.fromkeys(self.signed, ABSENT)
        remains.put_back(self.draft, self.found | signed, self.was)
        empty = [path for path in self.shells if _is_shell(lookup(self.draft.object, path))]
        remains.put_back(self.draft, dict.fromkeys(empty, ABSENT), self.was)
        done: Manifest = self.draft.object
        return done


def account(context: Context) -> tuple[Added, ...]:
    """List what was added to an object and its templates, in the order of its parts."""
    obj, kind = context.request.object, context.kind
    undoing, roles = _Undoing(draft=Draft(obj)), {}
    if kind is not None and kind.name == _POD:
        undoing.read(pod_stage.draft_of(context, obj))
    elif kind is not None:
        _read_workload(undoing, context, kind)
        for one in Work.of(context, kind, undoing.draft).templates:
            for part in (one.pod_spec, one.metadata or ()):
                roles[undoing.draft.resolve(part)] = one.role
    return tuple(
        Added(
            role=_role(roles, path),
            policy=undoing.authors[path],
            path=path,
            value=lookup(obj, path),
            before=undoing.found[path],
        )
        for path in sorted(undoing.found, key=remains.position)
    )


def _role(roles: Mapping[Path, str], path: Path) -> str:
    inner = [at for at in roles if at and at != METADATA and path[: len(at)] == at]
    return roles[max(inner, key=len)] if inner else ""


def strip(context: Context) -> Stripped:
    """Give the object of the request without anything that we added to it or its templates."""
    obj = context.request.object
    undoing = _Undoing(draft=Draft(obj))
    if context.kind is None and _is_signed(obj):
        return Stripped(object=obj, left=(_unknown_kind(context),))
    if context.kind is not None and context.kind.name == _POD:
        undoing.read(pod_stage.draft_of(context, obj))
    elif context.kind is not None:
        _read_workload(undoing, context, context.kind)
    if undoing.left:
        return Stripped(object=obj, left=tuple(undoing.left))
    return Stripped(object=undoing.carry_out() if undoing.signed else obj)


def _unknown_kind(context: Context) -> str:
    request = context.request
    kind = ".".join(filter(None, (request.kind, request.group)))
    return (
        f"something was added to it, but {kind} is no kind that is known here, so it isn't known "
        "where; give its WorkloadKind with --policies"
    )


def _is_signed(node: Any) -> bool:
    """Tell whether there is a record anywhere in what isn't understood."""
    if isinstance(node, dict):
        return INJECTED in node or any(map(_is_signed, node.values()))
    return isinstance(node, list) and any(map(_is_signed, node))


def _read_workload(undoing: _Undoing, context: Context, kind: Kind) -> None:
    work = Work.of(context, kind, undoing.draft)
    undoing.read(work.whole())
    for base in dict.fromkeys(template.base for template in work.templates if template.keyed):
        undoing.find_shells(base)
    for template in work.templates:
        if template.metadata != METADATA and work.signs_itself(template):
            undoing.read(work.as_pod(template))


def _containers(obj: Any, override: Path) -> list[Path]:
    """List the containers that an override speaks of, the last first."""
    places = [(*override, "containers"), (*override, "spec", "containers")]
    return [
        (*at, index)
        for at in places
        for found in [lookup(obj, at)]
        for index in reversed(range(len(found) if isinstance(found, list) else 0))
    ]


def _is_shell(node: Any) -> bool:
    """Tell whether nothing is in there but what elements of lists are known by."""
    if isinstance(node, dict):
        return all(key in _KEYS or _is_shell(value) for key, value in node.items())
    return isinstance(node, list) and all(map(_is_shell, node))
