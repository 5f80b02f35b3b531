"""Policies that are for nothing: a match that contradicts itself, checks that never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policy_objects import Held
from kubectl_ml.policylint import samples
from kubectl_ml.policylint.subjects import About, Subjects, at
from policies.engine import UNTOUCHED
from policies.model import Match
from policies.workloads import catalogue
from policies.workloads.catalogue import Catalogue

RULE = "unreachable"
_CREATED = "an injection acts when an object is created"


def find(subjects: Subjects) -> Iterator[Found]:
    """Find what is for nothing."""
    known = catalogue.of(subjects.policies)
    for held, match in subjects.matching:
        if not subjects.linted(held):
            continue
        about = About(held=held, rule=RULE)
        yield from _of_match(about, held, match)
        if held.kind == "InjectionPolicy":
            yield from _of_injection(about, match, known)
    for policy in subjects.policies.guards:
        held = subjects.guard(policy)
        if subjects.linted(held):
            yield from _of_guard(About(held=held, rule=RULE), held, policy.match)


def _of_match(about: About, held: Held, match: Match) -> Iterator[Found]:
    open_to_all = held.kind in ("PolicyException", "QuotaPolicy")
    kinds = samples.ANY_KIND if open_to_all else ("Pod",)
    if samples.of([match], kinds) is not None:
        if _is_untouched(match):
            yield about(
                ERROR,
                f"spec.match.namespaces names only {', '.join(sorted(UNTOUCHED))}, which is never "
                "touched; name another",
                at("spec", "match", "namespaces"),
            )
        return
    pointer, why = _cause(match, kinds)
    yield about(ERROR, f"{why}, so it is never in force", at("spec", "match", *pointer))


def _is_untouched(match: Match) -> bool:
    names = match.namespaces.names if match.namespaces else ()
    return bool(names) and all(name in UNTOUCHED for name in names)


def _cause(match: Match, kinds: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Say which member of a match that is for nothing is to blame."""
    if match.objects and samples.solved([match.objects]) is None:
        return ("objects",), "spec.match.objects asks for labels that contradict each other"
    selector = match.namespaces.selector if match.namespaces else None
    if selector and samples.solved([selector]) is None:
        message = "spec.match.namespaces.selector asks for labels that contradict each other"
        return ("namespaces", "selector"), message
    if match.owners and samples.of([replace(match, owners=())], kinds):
        listed = ", ".join(match.kinds)
        return ("owners",), f"spec.match.owners is of pods alone, and spec.match.kinds is {listed}"
    if match.exclude and samples.of([replace(match, exclude=None)], kinds):
        return ("exclude",), "spec.match.exclude takes away all that spec.match is for"
    return (), "the members of spec.match contradict each other"


def _of_injection(about: About, match: Match, known: Catalogue) -> Iterator[Found]:
    if match.operations and not {"CREATE", "*"} & {*match.operations}:
        listed = ", ".join(match.operations)
        message = f"spec.match.operations is {listed}, but {_CREATED}; add CREATE"
        yield about(ERROR, message, at("spec", "match", "operations"))
    for number, kind in enumerate(match.kinds):
        if not _makes_pods(kind, known):
            yield about(
                ERROR if len(match.kinds) == 1 else WARNING,
                f'spec.match.kinds: no pods are known of the kind "{kind}", so nothing is added to '
                "it; mend the name, or describe it with a WorkloadKind",
                at("spec", "match", "kinds", number),
            )
    pods_alone = set(match.kinds or ("Pod",)) == {"Pod"}
    for number, key in enumerate(match.intents):
        if pods_alone and key in ("scale", "roles"):
            message = (
                f'spec.match.intents: "{key}" stays at the workload and never reaches a pod; '
                "write the workload's kind into spec.match.kinds"
            )
            yield about(ERROR, message, at("spec", "match", "intents", number))


def _makes_pods(kind: str, known: Catalogue) -> bool:
    return known.named(kind) is not None or any(name == kind for _, name in known.kinds)


def _of_guard(about: About, held: Held, match: Match) -> Iterator[Found]:
    if held.spec.get("checks") and match.kinds and "Pod" not in match.kinds:
        message = (
            "spec.checks judge pods alone, and spec.match.kinds has no Pod; add it, which judges "
            "the templates of workloads, too"
        )
        yield about(ERROR, message, at("spec", "checks"))
