"""
A GuardPolicy's rules as a ValidatingAdmissionPolicy with its binding.

What that can't say is said beside it, in sentences: checks, exceptions, templates of workloads.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubectl_ml import celtext, vap_match
from policies.model import GuardPolicy, GuardRule, Manifest, PolicyException
from policies.workloads.catalogue import Catalogue

API_VERSION = "admissionregistration.k8s.io/v1"
_PARAMS, _MATCHED = "params", "matched"
_FAILED = "failed expression: "
_OF_TEMPLATES = (
    "of templates it judges those of Deployments, StatefulSets, DaemonSets, ReplicaSets and Jobs, "
    "as they are written; their metadata.namespace is not there"
)
_NO_TEMPLATES = (
    "it judges pods alone, as they are created by their controllers: the templates of workloads, "
    "which the webhook refuses at kubectl apply, are not judged; --templates has the usual ones "
    "judged"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The two objects, and what they don't carry."""

    policy: Manifest
    binding: Manifest
    left_out: tuple[str, ...]


def export(
    guard: GuardPolicy,
    exceptions: Iterable[PolicyException],
    known: Catalogue,
    *,
    templates: bool = False,
) -> Exported:
    """Write a guard that has rules; `templates` says that another policy is for templates."""
    names = _names(guard)
    spec: Manifest = {
        "failurePolicy": guard.failure_policy,
        "matchConstraints": vap_match.constraints(guard.match, known),
        "matchConditions": [
            {"name": name, "expression": expression}
            for name, expression in vap_match.conditions(guard.match)
        ],
        "variables": list(_variables(guard, names)),
        "validations": [
            validation(rule, _params(names), names.get(_MATCHED, "")) for rule in guard.rules
        ],
    }
    if not spec["variables"]:
        del spec["variables"]
    return Exported(
        policy=manifest("ValidatingAdmissionPolicy", guard.name, spec),
        binding=manifest(
            "ValidatingAdmissionPolicyBinding",
            guard.name,
            {"policyName": guard.name, "validationActions": [guard.enforcement]},
        ),
        left_out=tuple(_left_out(guard, exceptions, known, templates=templates)),
    )


def manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    """Make an object of the API server's own policies."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


# --- expressions ------------------------------------------------------------------------------


def _names(guard: GuardPolicy) -> Mapping[str, str]:
    """Say which variables are ours, by what they stand for: the params, what is matched."""
    taken = {name for name, _ in guard.variables}
    found = {}
    if guard.params is not None or any(_PARAMS in celtext.names(text) for text in _texts(guard)):
        found[_PARAMS] = f"variables.{free(_PARAMS, taken)}"
    if vap_match.late(guard.match):
        found[_MATCHED] = f"variables.{free(_MATCHED, taken)}"
    return found


def _texts(guard: GuardPolicy) -> Iterator[str]:
    yield from (expression for _, expression in guard.variables)
    for rule in guard.rules:
        yield rule.expression
        yield rule.message_expression


def free(name: str, taken: set[str]) -> str:
    """Find a name that no variable of the guard has."""
    while name in taken:
        name += "_"
    return name


def _variables(guard: GuardPolicy, names: Mapping[str, str]) -> Iterator[Manifest]:
    if _PARAMS in names:
        value = celtext.literal(dict(guard.params) if guard.params is not None else None)
        yield {"name": names[_PARAMS].partition(".")[2], "expression": f"dyn({value})"}
    if _MATCHED in names:
        expression = vap_match.late(guard.match)
        yield {"name": names[_MATCHED].partition(".")[2], "expression": expression}
    for name, expression in guard.variables:
        yield {"name": name, "expression": celtext.renamed(expression, _params(names))}


def _params(names: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in names.items() if key == _PARAMS}


def validation(rule: GuardRule, new: Mapping[str, str], where: str = "") -> Manifest:
    """Write a rule with other names for its variables; it is for what `where` is true of."""
    expression = vap_match.boolean(celtext.renamed(rule.expression, new))
    if where:  # with `||` a `where` that fails would be nothing where the rule holds
        expression = f"{where} ? ({expression}) : true"
    found: Manifest = {"expression": expression}
    said = rule.message or f"{_FAILED}{rule.expression}"
    # On one line, as the webhook says it: a message with a line break is refused.
    found["message"] = "".join(one if one.isprintable() else " " for one in said).strip()
    if rule.message_expression:
        text = celtext.renamed(rule.message_expression, new)
        dynamic = vap_match.is_dynamic(rule.message_expression, "BOOL")
        found["messageExpression"] = f"string({text})" if dynamic else text
    found["reason"] = rule.reason or "Forbidden"
    return found


# --- what isn't carried -----------------------------------------------------------------------


def _left_out(
    guard: GuardPolicy,
    exceptions: Iterable[PolicyException],
    known: Catalogue,
    *,
    templates: bool,
) -> Iterator[str]:
    if guard.checks:
        yield f"its checks ({', '.join(guard.checks)}) are not carried: only rules can be"
    for one in exceptions:
        if guard.name in one.policies:
            until = " and its end" if one.expires is not None else ""
            yield f'the exception "{one.name}"{until} is not carried: whom it lets off is refused'
    kinds = guard.match.kinds or ("Pod",)
    if "Pod" in kinds:
        yield _OF_TEMPLATES if templates else _NO_TEMPLATES
    if "UPDATE" in (guard.match.operations or ("CREATE", "UPDATE")):
        yield ("on UPDATE it judges the whole object, where the webhook refuses only what changed")
    yield (
        "it holds in every namespace that it matches, not only where kubectl-ml.io/enabled is set; "
        "spec.matchResources of the binding can narrow that"
    )
    for kind in kinds:
        group, plural, guessed = vap_match.resource(kind, known)
        if guessed:
            name = f"{plural}.{group}" if group else plural
            yield f'the resource of the kind "{kind}" is taken to be "{name}"; check it'
