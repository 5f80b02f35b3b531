"""
A guard for pods as a ValidatingAdmissionPolicy for the templates of workloads.

What an expression calls `object` is the Pod that the template makes: a variable, of which the
rules speak instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubectl_ml import celtext, vap, vap_match
from policies.model import GuardPolicy, Manifest
from policies.workloads.catalogue import Catalogue

KINDS = ("Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch")
SUFFIX = ".templates"
_POD, _OLD, _MATCHED = "pod", "oldPod", "matched"


def export(guard: GuardPolicy, known: Catalogue) -> tuple[Manifest, ...]:
    """Write the policy and its binding; nothing where the guard is for no template."""
    judged = ("CREATE", "UPDATE")
    operations = [one for one in guard.match.operations or judged if one in judged]
    kinds = [kind for kind in KINDS if _is_owner(kind, guard, known)]
    if not (operations and kinds) or "Pod" not in (guard.match.kinds or ("Pod",)):
        return ()
    new = _names(guard)
    name = f"{guard.name}{SUFFIX}"
    spec = {
        "failurePolicy": guard.failure_policy,
        "matchConstraints": _constraints(guard, kinds, operations, known),
        "variables": list(_variables(guard, new)),
        "validations": [vap.validation(rule, new, new[_MATCHED]) for rule in guard.rules],
    }
    binding = {"policyName": name, "validationActions": [guard.enforcement]}
    return (
        vap.manifest("ValidatingAdmissionPolicy", name, spec),
        vap.manifest("ValidatingAdmissionPolicyBinding", name, binding),
    )


def _is_owner(kind: str, guard: GuardPolicy, known: Catalogue) -> bool:
    """Tell whether pods of a kind are owned as the guard asks."""
    found = known.named(kind)
    owner = (found and found.pod_owner) or kind
    wanted = guard.match.owners
    return not wanted or owner in wanted or owner.partition(".")[0] in wanted


def _constraints(
    guard: GuardPolicy, kinds: list[str], operations: list[str], known: Catalogue
) -> Manifest:
    rules: dict[str, list[str]] = {}
    for kind in kinds:
        group, plural, _ = vap_match.resource(kind, known)
        rules.setdefault(group, []).append(plural)
    found = vap_match.constraints(guard.match, known)
    found["resourceRules"] = [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": operations,
            "resources": plurals,
        }
        for group, plurals in rules.items()
    ]
    return found


def _names(guard: GuardPolicy) -> Mapping[str, str]:
    """Say how the policy calls what the guard's expressions call something else."""
    taken = {name for name, _ in guard.variables}
    return {
        key: f"variables.{vap.free(name, taken)}"
        for key, name in (
            ("object", _POD),
            ("oldObject", _OLD),
            ("params", "params"),
            (_MATCHED, _MATCHED),
        )
    }


def _variables(guard: GuardPolicy, new: Mapping[str, str]) -> Iterator[Manifest]:
    yield _variable(new["object"], _pod("object"))
    old = f"request.operation == 'UPDATE' ? {_pod('oldObject')} : dyn(null)"
    yield _variable(new["oldObject"], old)
    params = dict(guard.params) if guard.params is not None else None
    yield _variable(new["params"], f"dyn({celtext.literal(params)})")
    renamed = {key: value for key, value in new.items() if key != _MATCHED}
    yield _variable(new[_MATCHED], vap_match.of_template(guard.match, renamed))
    for name, expression in guard.variables:
        yield {"name": name, "expression": celtext.renamed(expression, renamed)}


def _variable(name: str, expression: str) -> Manifest:
    return {"name": name.removeprefix("variables."), "expression": expression}


def _pod(obj: str) -> str:
    """Make the Pod of an object's template."""
    at = f"{obj}.spec.template"
    metadata = f"has({at}.metadata) ? dyn({at}.metadata) : dyn({{}})"
    return (
        f"dyn({{'apiVersion': dyn('v1'), 'kind': dyn('Pod'), 'metadata': {metadata}, "
        f"'spec': dyn({at}.spec)}})"
    )
