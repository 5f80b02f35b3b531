"""
Guards that refuse what an injection adds, found by trial.

A pod that both are for is made, as tidy as can be, and judged with and without the injection:
what is refused only with it is what the injection brought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubectl_ml.findings import ERROR, WARNING
from kubectl_ml.lint_output import Found
from kubectl_ml.policylint import samples
from kubectl_ml.policylint.subjects import About, Subjects
from policies import engine
from policies.match import Target
from policies.model import (
    DOMAIN,
    Accelerator,
    Decision,
    Facts,
    GuardPolicy,
    Inject,
    InjectionPolicy,
    Manifest,
    Match,
    PolicySet,
    Request,
)

RULE = "guard-refuses-injection"
_VALUES = {
    "shm": "1Gi", "mounts": "scratch://1Gi:/scratch", "dapr": "true", "queue": "sample",
    "experiment": "sample", "mesh": "true", "containers": "main", "inject": "true",
}  # fmt: skip
_CLASS = Accelerator(name="sample", digest="0" * 8, resource="example.com/sample")
_CREATE = Match(operations=("CREATE",))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    policy: InjectionPolicy
    guard: GuardPolicy
    target: Target


def find(subjects: Subjects) -> Iterator[Found]:
    """Try every injection into pods with every guard that is for such pods."""
    policies = subjects.policies
    for guard in policies.guards:
        for policy in policies.injections if guard.enforcement in ("Deny", "Warn") else ():
            if not (
                subjects.linted(subjects.injection(policy))
                or subjects.linted(subjects.guard(guard))
            ):
                continue
            target = _common(policy, guard)
            if target is not None:
                trial = _Trial(policy=policy, guard=guard, target=target)
                for message in _brought(trial, policies, subjects.now):
                    yield _finding(subjects, trial, message)


def _finding(subjects: Subjects, trial: _Trial, message: str) -> Found:
    injection, guard = subjects.injection(trial.policy), subjects.guard(trial.guard)
    denies = trial.guard.enforcement == "Deny"
    verb = "refuses" if denies else "warns of"
    held, what = (
        (injection, f"{guard.title} ({guard.where}) {verb} what this adds")
        if subjects.linted(injection)
        else (guard, f"this {verb} what {injection.title} ({injection.where}) adds")
    )
    severity = WARNING if not denies or _is_asked_for(trial.policy) else ERROR
    advice = "change one of them, or write a PolicyException"
    return About(held=held, rule=RULE)(severity, f"{what}: {message}; {advice}")


def _is_asked_for(policy: InjectionPolicy) -> bool:
    """Tell whether nobody gets it who doesn't name it."""
    sidecars = policy.inject.sidecars
    offered = bool(sidecars) and all(one.offered for one in sidecars)
    return policy.opt_in or (offered and replace(policy.inject, sidecars=()) == Inject())


def _common(policy: InjectionPolicy, guard: GuardPolicy) -> Target | None:
    """Find a pod that both are for, as it is created."""
    if policy.mode != "Apply" or any(
        one.kinds and "Pod" not in one.kinds for one in (policy.match, guard.match)
    ):
        return None
    return samples.of(
        [replace(policy.match, kinds=("Pod",)), replace(guard.match, kinds=("Pod",)), _CREATE]
    )


def _brought(trial: _Trial, policies: PolicySet, now: float) -> list[str]:
    """Say what the guard has against the pod only when it is injected."""
    classes = policies.accelerators or {_CLASS.name: _CLASS}
    alone = replace(policies, accelerators=classes, injections=(), guards=(trial.guard,))
    request = Request(
        operation="CREATE",
        group="",
        version="v1",
        kind="Pod",
        namespace=trial.target.namespace,
        name="sample",
        object=_pod(trial, policies),
        user=trial.target.user,
    )
    facts = Facts(namespaces={trial.target.namespace: trial.target.namespace_labels}, now=now)
    before = _said(engine.review(request, alone, facts), trial.guard)
    injected = replace(alone, injections=(trial.policy,))
    after = _said(engine.review(request, injected, facts), trial.guard)
    return [message for message in after if message not in before]


def _said(decision: Decision, guard: GuardPolicy) -> list[str]:
    prefix = f"{guard.name}: "
    return [
        *(one.message for one in decision.violations if one.policy == guard.name),
        *(text.removeprefix(prefix) for text in decision.warnings if text.startswith(prefix)),
    ]


# --- the pod ----------------------------------------------------------------------------------


def _pod(trial: _Trial, policies: PolicySet) -> Manifest:
    target = trial.target
    annotations = {f"{DOMAIN}/{key}": value for key, value in _intents(trial, policies)}
    metadata: Manifest = {
        "name": "sample",
        "namespace": target.namespace,
        "labels": dict(target.labels),
        "annotations": annotations,
    }
    if target.owner:
        metadata["ownerReferences"] = [_owner(target.owner)]
    resources = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
    container = {
        "name": "main",
        "image": _image(trial.guard.checks.get("images") or {}),
        "resources": {"requests": resources, "limits": dict(resources)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"containers": [container], "securityContext": security}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _intents(trial: _Trial, policies: PolicySet) -> Iterator[tuple[str, str]]:
    wanted = set(trial.target.intents)
    offered = [one.container["name"] for one in trial.policy.inject.sidecars if one.offered]
    if trial.policy.opt_in:
        yield "profile", trial.policy.name
    if offered:
        yield "sidecars", ",".join(offered)
    if "accelerator" in wanted:
        yield "accelerator", min(policies.accelerators, default=_CLASS.name)
    for key in sorted(wanted & {*_VALUES}):
        yield key, _VALUES[key]


def _owner(name: str) -> Manifest:
    kind, _, group = name.partition(".")
    version = f"{group}/v1" if group else "v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "name": "sample",
        "uid": "00000000-0000-0000-0000-000000000000",
        "controller": True,
    }


def _image(check: Mapping[str, Any]) -> str:
    """Name an image that the guard's check lets in."""
    registry = next(iter(check.get("registries") or ()), "registry.example.com/*")
    tag = next(iter((check.get("tags") or {}).get("allow") or ()), "v1.0.0")
    name = registry.replace("*", "sample").rstrip("/")
    return f"{name}:{tag.replace('*', '1')}@sha256:{'0' * 64}"
