"""
What Argo CD is to ignore: what we add to lists that it compares as a whole, and no more.

Fields that Git doesn't set are nothing to Argo CD, those of elements of lists neither
(gitops-engine's RemoveMapFields). An element more in a list that Git sets shows, and with it the
outermost list. For each there is an expression of jq that takes just that out on both sides:

    .spec.workerGroupSpecs[]? | select(.groupName == "w") | .template.spec.containers[]?
        | select(.name == "main") | .volumeMounts[]? | select(.mountPath == "/dev/shm")
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubectl_ml import objects, verdicts
from kubectl_ml.documents import Document
from kubectl_ml.errors import Refused
from policies import engine
from policies.model import Facts, Manifest, PolicySet
from policies.workloads import catalogue

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEYS = (
    "mountPath",
    "groupName",
    "name",
    "manager",
    "targetJobs",
)  # what elements are known by, in this order
# Kinds whose schema Argo CD knows, and the lists of a pod that it merges by a key.
_BUILT_IN = ("", "apps", "batch")
_MERGED = frozenset({
    "containers", "initContainers", "volumes", "env", "volumeMounts", "imagePullSecrets",
    "topologySpreadConstraints",
})  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Ignoring:
    """One run over all documents: the rules so far, and what is refused."""

    policies: PolicySet
    facts: Facts
    namespace: str
    rules: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """Find the rules for one document."""
        if document.value is not None:
            objects.check(document)
            objects.replaced(document.value, lambda one: self._find(one, document))

    def _find(self, manifest: Manifest, document: Document) -> None:
        kind = catalogue.of(self.policies).of(manifest)
        if kind is None:
            return
        request = objects.request(manifest, namespace=self.namespace, user=self.facts.user)
        decision = engine.review(request, self.policies, self.facts)
        where = f"{document.source}: {objects.title(manifest)}"
        self.refused += [f"{where}: {verdicts.line(one)}" for one in decision.violations]
        found = expressions(manifest, decision.object, built_in=kind.group in _BUILT_IN)
        if not found:
            return
        rule = {"group": kind.group, "kind": kind.kind}
        metadata = manifest.get("metadata") or {}
        rule |= {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
        self.rules.append({**rule, "jqPathExpressions": found})

    def report(self) -> None:
        """Raise where the webhook would refuse an object."""
        if self.refused:
            raise Refused(tuple(self.refused), hint="nothing was printed")


def expressions(git: Manifest, live: Manifest, *, built_in: bool) -> list[str]:
    """Write what takes out of both sides what `live` has and `git` hasn't."""
    return list(dict.fromkeys(_within(git, live, _At(built_in=built_in))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """A place in an object, as jq finds it; `shows`: it is within a list of Git's."""

    built_in: bool
    text: str = ""
    name: str = ""
    shows: bool = False

    def member(self, name: str) -> _At:
        step = f".{name}" if _PLAIN.fullmatch(name) else f"[{json.dumps(name)}]"
        text = self.text if self.text or step.startswith(".") else "."
        return _At(built_in=self.built_in, text=text + step, name=name, shows=self.shows)

    def element(self, value: Any) -> _At:
        text = f"{self.text}[]?{_choice(value)}"
        return _At(
            built_in=self.built_in, text=text, name=self.name, shows=self.shows or self.is_whole
        )

    @property
    def is_whole(self) -> bool:
        """Tell whether Argo CD compares the list here as a whole."""
        return not (self.built_in and self.name in _MERGED)

    @property
    def next(self) -> _At:
        """Go on after a choice: what follows `select(…)` needs a pipe."""
        piped = f"{self.text} | " if self.text.endswith(")") else self.text
        return _At(built_in=self.built_in, text=piped, name=self.name, shows=self.shows)


def _within(git: Any, live: Any, at: _At) -> Iterator[str]:
    if isinstance(git, dict) and isinstance(live, dict):
        for name, value in live.items():
            if name in git:
                yield from _within(git[name], value, at.next.member(name))
    elif isinstance(git, list) and isinstance(live, list):
        yield from _within_list(git, live, at)
    elif type(git) is not type(live) or git != live:
        yield at.text


def _within_list(git: list[Any], live: list[Any], at: _At) -> Iterator[str]:
    for index, value in enumerate(live):
        there, inside = _counterpart(git, value, index), at.element(value)
        if there is not None:
            yield from _within(there, value, inside)
        elif inside.shows:
            yield inside.text


def _counterpart(git: list[Any], value: Any, index: int) -> Any:
    """Find the element of Git's that an element was made of; None: it was added."""
    key = _key(value)
    if key:
        return next((one for one in git if _key(one) == key and one[key] == value[key]), None)
    if value in git:
        return value
    return git[index] if index < len(git) and isinstance(value, dict) else None


def _key(value: Any) -> str:
    return next((name for name in _KEYS if isinstance(value, dict) and value.get(name)), "")


def _choice(value: Any) -> str:
    """Choose one element by what it is known by; one without a name by all that it says."""
    key = _key(value)
    if key:
        return f" | select(.{key} == {json.dumps(value[key])})"
    if isinstance(value, dict):
        scalars = [name for name, one in value.items() if not isinstance(one, dict | list)]
        said = [f".{name} == {json.dumps(value[name])}" for name in scalars]
        if said:
            return f" | select({' and '.join(said)})"
    return f" | select(. == {json.dumps(value)})"
