"""What was or would be added to objects, by which policy, and what wasn't and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from kubectl_ml import families, objects
from kubectl_ml.documents import Document
from policies import engine
from policies.model import (
    Decision,
    Facts,
    Manifest,
    PolicySet,
    Reason,
    Request,
    Skip,
    Violation,
)
from policies.patch import ABSENT, Path, lookup, pointer
from policies.stages.undo import Added
from policies.workloads import pods

T = TypeVar("T")

_GREY, _PLAIN = "\x1b[90m", "\x1b[0m"
_SHOWN = 60  # characters of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One object explained; `live`: it says itself what was added."""

    manifest: Manifest
    source: str
    live: bool
    after: Manifest  # with what was or would be added
    added: tuple[Added, ...]
    decision: Decision  # by today's policies
    unclear: tuple[str, ...] = ()  # what its provenance doesn't tell
    changed: tuple[str, ...] = ()  # what has changed since
    charges: tuple[str, ...] = ()  # what quotas charge it with


@dataclass(slots=True, kw_only=True)
class Explaining:
    """One run over all documents."""

    policies: PolicySet
    facts: Facts
    namespace: str
    found: list[Explanation] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """Explain one document."""
        if document.value is not None:
            objects.check(document)
            objects.replaced(document.value, lambda one: self._explain(one, document.source))

    def _explain(self, manifest: Manifest, source: str) -> None:
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        added = engine.account(request, self.policies)
        plain = engine.bare(request, self.policies)
        live = plain.object is not manifest or bool(plain.left)
        today = objects.request(plain.object, namespace=self.namespace, user=self.facts.user)
        decision = self._decided(today)
        after = manifest if live else decision.object
        if not live:
            folded = objects.request(after, namespace=self.namespace, user=self.facts.user)
            added = engine.account(folded, self.policies)
        charges, decision = self._charged(request, decision, live=live)
        tells = live and not _is_copied(manifest)
        self.found.append(
            Explanation(
                manifest=manifest,
                source=source,
                live=live,
                after=after,
                added=added,
                decision=decision,
                unclear=plain.left,
                changed=_changed(added, decision) if tells and not plain.left else (),
                charges=charges,
            )
        )

    def _charged(
        self, request: Request, decision: Decision, *, live: bool
    ) -> tuple[tuple[str, ...], Decision]:
        """Say what quotas charge; what they refuse of anything new goes into the decision."""
        metadata = request.object.get("metadata")
        if not self.policies.quotas or not isinstance(metadata, dict):
            return (), decision
        if any(pods.controller(metadata)):
            return (), decision  # it counts with its owner
        from kubectl_ml import charging  # here, because a terminal hardly ever has quotas

        charges = engine.charges(request, self.policies, self.facts)
        if not live:
            decision = charging.judged(decision, charges, request)
        return tuple(charging.told(each) for each in charges), decision

    def _decided(self, today: Request) -> Decision:
        """Decide what the pods will be, with what guards of the object itself say."""
        decision = engine.explain(today, self.policies, self.facts)
        admitted = engine.explain(today, self.policies, self.facts, fold=False)
        return replace(
            decision,
            violations=_joined(decision.violations, admitted.violations),
            reasons=_joined(decision.reasons, admitted.reasons),
        )


def _joined(some: tuple[T, ...], others: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*some, *others)))


def _is_copied(manifest: Manifest) -> bool:
    """Tell whether a controller made it of its owner's template, where the policies act."""
    return manifest["kind"] != "Pod" and any(pods.controller(manifest.get("metadata") or {}))


def _changed(added: tuple[Added, ...], today: Decision) -> tuple[str, ...]:
    """Say which of the policies that acted are other ones today."""
    now = {key.rpartition("@")[0]: key for key in today.provenance}
    sentences = []
    for key in sorted({one.policy for one in added}):
        name, _, digest = key.rpartition("@")
        if name not in now:
            sentences.append(f"{name}: acted as {digest}, and would add nothing today")
        elif now[name] != key:
            sentences.append(f"{name}: was {digest} then, is {now[name].rpartition('@')[2]} today")
    return tuple(sentences)


def text(one: Explanation, *, namespace: str, color: bool) -> str:
    """Write a tree by role and container, a line for each value."""
    lines = [objects.reference(one.manifest, namespace=namespace)]
    places: dict[tuple[str, str], list[str]] = {}
    for each in one.added:
        place = (each.role, _container(one.after, each.path))
        was = "" if each.before is ABSENT else f" (was {_shown(each.before)})"
        tag = _tag(each.policy.rpartition("@")[0], each.path)
        line = f"    + {pointer(each.path)} = {_shown(each.value)}{was}  [{tag}]"
        places.setdefault(place, []).append(line)
    for place, of_place in places.items():
        lines += ["  " + _place(*place), *of_place]
    if not one.added:
        lines.append("  nothing was added" if one.live else "  nothing would be added")
    lines += [_grey(_skipped(skip), color=color) for skip in one.decision.skipped]
    lines += [f"  ? {sentence}" for sentence in one.unclear]
    lines += [f"  ! {sentence}" for sentence in one.decision.warnings]
    lines += [f"  ! changed since: {sentence}" for sentence in one.changed]
    lines += [f"  = {sentence}" for sentence in one.charges]
    for violation in one.decision.violations:
        lines.append(f"  x refused: {violation.policy}: {violation.message}")
        for reason in _reasons(one, violation):
            named = f"rule {reason.rule}" if reason.rule else "rule"
            lines.append(f"      {named}: {reason.expression}")
            lines += [f"      saw: {path}: {value}" for path, value in reason.saw]
    return "\n".join(lines)


def results(one: Explanation) -> list[dict[str, Any]]:
    """Give the same as results of a KRM function."""
    metadata = one.manifest.get("metadata") or {}
    reference = {"apiVersion": one.manifest["apiVersion"], "kind": one.manifest["kind"]}
    reference |= {key: metadata[key] for key in ("namespace", "name") if key in metadata}
    base = {"resourceRef": reference, "file": {"path": one.source}}
    found = [
        {
            "message": "was added" if one.live else "would be added",
            "severity": "info",
            **base,
            "field": {
                "path": pointer(each.path),
                **({} if each.before is ABSENT else {"currentValue": each.before}),
                "proposedValue": each.value,
            },
            "tags": {
                "policy": each.policy,
                "rule": families.of(each.path),
                **({"role": each.role} if each.role else {}),
            },
        }
        for each in one.added
    ]
    found += [
        {
            "message": f"not added: {skip.why}",
            "severity": "info",
            **base,
            "field": {"path": skip.path},
            "tags": {"policy": skip.policy},
        }
        for skip in one.decision.skipped
    ]
    found += [
        {"message": each, "severity": "warning", **base} for each in one.unclear + one.changed
    ]
    found += [{"message": each, "severity": "info", **base} for each in one.charges]
    found += [
        {
            "message": each.message,
            "severity": "error",
            **base,
            "tags": {"policy": each.policy, **_told(_reasons(one, each))},
        }
        for each in one.decision.violations
    ]
    return found


def _reasons(one: Explanation, violation: Violation) -> list[Reason]:
    named = (violation.policy, violation.message)
    return [each for each in one.decision.reasons if (each.policy, each.message) == named]


def _told(reasons: list[Reason]) -> dict[str, str]:
    """Write what a rule saw as tags, whose values are strings."""
    tags: dict[str, str] = {}
    for each in reasons[:1]:
        tags = {"rule": each.rule} if each.rule else {}
        tags |= {"expression": each.expression}
        tags |= {"saw": "; ".join(f"{path}: {value}" for path, value in each.saw)}
    return tags


def _tag(policy: str, path: Path) -> str:
    """Name a policy with what of it acted."""
    family = families.of(path)
    return policy if family in ("", policy) else f"{policy}: {family}"


def _container(obj: Any, path: tuple[Any, ...]) -> str:
    """Name the container that a path leads into; empty: none."""
    for index, step in enumerate(path[:-1]):
        if step in ("containers", "initContainers") and index + 2 < len(path):
            return str(lookup(obj, (*path[: index + 2], "name")) or path[index + 1])
    return ""


def _place(role: str, container: str) -> str:
    parts = [f"role {role}" if role else "", f"container {container}" if container else ""]
    return ", ".join(filter(None, parts)) or "the object"


def _skipped(skip: Skip) -> str:
    return f"    - {skip.path}: {skip.why}  [{skip.policy}]"


def _shown(value: Any) -> str:
    found = orjson.dumps(value).decode()
    return found if len(found) <= _SHOWN else found[: _SHOWN - 1] + "…"


def _grey(line: str, *, color: bool) -> str:
    return f"{_GREY}{line}{_PLAIN}" if color else line
