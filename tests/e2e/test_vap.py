"""
The webhook beside the real ValidatingAdmissionPolicy: the same expressions, the same verdicts.

Each object is judged twice: by a GuardPolicy in a namespace where the webhook acts, and by a
ValidatingAdmissionPolicy of the same name and with the same expressions in one where it doesn't.
Both are for objects with their name in the label `guard`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENABLED, Installed
from tests.e2e.test_policy_export import sentences
from tests.policies.functions import expressions
from tests.policies.functions.expressions import FAILS, REFUSED

CONTROL_PLANE = "policies"
LABELS = {"environment": "staging"}
_VAP = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_RESOURCES = {"Pod": ("", "pods"), "Deployment": ("apps", "deployments")}
_CANARY = {"expression": "object.metadata.labels.case != 'canary'", "message": "Canary."}
_DEPLOYMENTS = {"kinds": ["Deployment.apps"]}

# The examples of https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
# and its tasks, as they stand there; a ConfigMap takes the place of the parameters' own kind.
DOCUMENTED: Mapping[str, Mapping[str, Any]] = {
    "demo-policy": {"match": _DEPLOYMENTS, "rules": [{"expression": "object.spec.replicas <= 5"}]},
    "replicalimit": {
        "match": _DEPLOYMENTS,
        "params": {"data": {"maxReplicas": "3"}},
        "rules": [
            {
                "expression": "object.spec.replicas <= int(params.data.maxReplicas)",
                "reason": "Invalid",
            }
        ],
    },
    "deploy-replica-policy": {
        "match": _DEPLOYMENTS,
        "params": {"data": {"maxReplicas": "3"}},
        "rules": [
            {
                "expression": "object.spec.replicas <= int(params.data.maxReplicas)",
                "messageExpression": "'object.spec.replicas must be no greater than ' "
                "+ string(params.data.maxReplicas)",
                "reason": "Invalid",
            }
        ],
    },
    "without-params": {
        "match": _DEPLOYMENTS,
        "rules": [{"expression": "object.spec.replicas > 1", "message": "must be replicated"}],
    },
    "match-conditions": {
        "match": {
            "conditions": [
                "!(request.resource.group == 'coordination.k8s.io' && "
                "request.resource.resource == 'leases')",
                "!('system:nodes' in request.userInfo.groups)",
                "request.resource.group != 'rbac.authorization.k8s.io'",
            ]
        },
        "rules": [
            {
                "expression": "!object.metadata.name.contains('probe') || "
                "object.metadata.namespace == 'demo'"
            }
        ],
    },
    "images": {
        "match": _DEPLOYMENTS,
        "variables": [
            {
                "name": "environment",
                "expression": "'environment' in namespaceObject.metadata.labels ? "
                "namespaceObject.metadata.labels['environment'] : 'prod'",
            },
            {
                "name": "exempt",
                "expression": "has(object.metadata.labels) && 'exempt' in object.metadata.labels "
                "&& object.metadata.labels['exempt'] == 'true'",
            },
            {"name": "containers", "expression": "object.spec.template.spec.containers"},
            {
                "name": "containersToCheck",
                "expression": "variables.containers.filter(c, c.image.contains('example.com/'))",
            },
        ],
        "rules": [
            {
                "expression": "variables.exempt || variables.containersToCheck.all(c, "
                "c.image.startsWith(variables.environment + '.'))",
                "messageExpression": "'only ' + variables.environment + ' images are allowed in '"
                " + 'this namespace'",
            }
        ],
    },
    "foo": {
        "match": _DEPLOYMENTS,
        "failurePolicy": "Ignore",
        "variables": [
            {
                "name": "foo",
                "expression": "'foo' in object.spec.metadata.labels ? "
                "object.spec.metadata.labels['foo'] : 'default'",
            }
        ],
        "rules": [{"expression": "variables.foo == 'bar'"}],
    },
    "images-of-pods": {
        "rules": [
            {
                "expression": "object.spec.containers.all(c, c.image.startsWith('example.com/'))",
                "message": "Images come from example.com.",
                "reason": "Forbidden",
            },
            {
                "expression": "object.spec.containers.all(c, has(c.securityContext) && "
                "has(c.securityContext.readOnlyRootFilesystem) && "
                "c.securityContext.readOnlyRootFilesystem == true)",
                "message": "all containers must have read only root filesystems",
            },
        ]
    },
    # Its variable divides by zero in some objects.
    "lazy": {
        "variables": [
            {"name": "nope", "expression": "1 / int(object.metadata.labels.zero) > 0"},
            {"name": "unused", "expression": "object.nope.nope"},
        ],
        "rules": [{"expression": "!has(object.metadata.labels.zero) || variables.nope"}],
    },
    "message": {
        "rules": [
            {
                "expression": "!has(object.metadata.labels.quiet)",
                "message": "The message that is written.",
                "messageExpression": "object.metadata.labels.quiet == 'nope' ? 'Said.' : "
                "string(object.metadata.labels.nope)",
            }
        ]
    },
}
# What each is judged on: the kind and what is in it.
CASES: Mapping[str, Manifest] = {
    "one": {"replicas": 1},
    "four": {"replicas": 4},
    "six": {"replicas": 6, "image": "staging.example.com/a:1"},
    "prod": {"replicas": 2, "image": "prod.example.com/a:1"},
    "exempt": {"replicas": 2, "image": "prod.example.com/a:1", "labels": {"exempt": "true"}},
    "zero": {"labels": {"zero": "0"}},
    "not-zero": {"labels": {"zero": "1"}},
    "said": {"labels": {"quiet": "nope"}},
    "quiet": {"labels": {"quiet": "yes"}},
}


def made(
    name: str,
    case: str,
    *,
    kind: str = "Pod",
    replicas: int = 1,
    image: str = "",
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Make the object of one case for the guard of that name."""
    labels = {"guard": name, "case": case, **(labels or {})}
    found = expressions.pod(**labels)
    if image:
        found["spec"]["containers"][0]["image"] = image
    if kind == "Pod":
        return found
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "demo", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"case": case}},
            "template": {"metadata": {"labels": labels}, "spec": found["spec"]},
        },
    }


def kind_of(spec: Mapping[str, Any]) -> str:
    return str(spec.get("match", {}).get("kinds", ["Pod"])[0]).partition(".")[0]


def guard(name: str, spec: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "GuardPolicy",
        "metadata": {"name": name},
        "spec": {
            **spec,
            "match": {**spec.get("match", {}), "objects": {"matchLabels": {"guard": name}}},
        },
    }


def theirs(name: str, spec: Mapping[str, Any], namespace: str) -> tuple[Manifest, Manifest]:
    """Write a guard as a ValidatingAdmissionPolicy, and bind it to a namespace."""
    group, resource = _RESOURCES[kind_of(spec)]
    rule = {
        "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }  # fmt: skip
    policy: Manifest = {
        "failurePolicy": spec.get("failurePolicy", "Fail"),
        "matchConstraints": {
            "resourceRules": [rule],
            "objectSelector": {"matchLabels": {"guard": name}},
        },
        "matchConditions": [
            {"name": f"c{number}", "expression": one}
            for number, one in enumerate(spec.get("match", {}).get("conditions", ()))
        ],
        "variables": spec.get("variables", []),
        "validations": [*spec["rules"], _CANARY],
    }
    binding: Manifest = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        },
    }
    if "params" in spec:
        policy["paramKind"] = {"apiVersion": "v1", "kind": "ConfigMap"}
        binding["paramRef"] = {
            "name": name, "namespace": namespace, "parameterNotFoundAction": "Deny",
        }  # fmt: skip
    return (
        of_their_kind("ValidatingAdmissionPolicy", name, policy),
        of_their_kind("ValidatingAdmissionPolicyBinding", name, binding),
    )


def of_their_kind(kind: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def said(place: Place, manifest: Manifest) -> list[str]:
    """Give the sentences with which an object is refused; nothing where it is let in."""
    path = place.path(manifest["kind"]) + "?dryRun=All"
    answer = place.user.request("POST", path, body=manifest)
    if answer.ok:
        return []
    message = str(answer.body["message"])
    return sentences(message) if "denied" in message else [message]


@contextmanager
def ours(installed: Installed, specs: Mapping[str, Mapping[str, Any]]) -> Iterator[Place]:
    """Have guards in force."""
    documents = yaml.safe_dump_all(guard(name, spec) for name, spec in specs.items())
    with (
        acting.place(installed, {**ENABLED, **LABELS}) as place,
        installed.policies(documents),
    ):
        yield place


@contextmanager
def real(installed: Installed, specs: Mapping[str, Mapping[str, Any]]) -> Iterator[Place]:
    """Have the same in force as policies of the API server's own."""
    with acting.place(installed, LABELS) as place:
        written = acting.listed(
            *(one for name, spec in specs.items() for one in theirs(name, spec, place.name))
        )
        for name, spec in specs.items():
            if "params" in spec:
                params = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
                place.admin.kubectl(
                    "create", "-n", place.name, "-f", "-",
                    stdin=acting.listed({**params, **spec["params"]}),
                )  # fmt: skip
        place.admin.kubectl("apply", "-f", "-", stdin=written)
        try:
            for name, spec in specs.items():
                canary = made(name, "canary", kind=kind_of(spec), labels={"quiet": "x"})
                _until_in_force(place, name, canary)
            yield place
        finally:
            place.admin.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=written)


def _until_in_force(place: Place, name: str, canary: Manifest) -> None:
    path = f"{place.path(canary['kind'])}?dryRun=All"

    def judged() -> bool:
        message = str(place.user.request("POST", path, body=canary).body.get("message"))
        return f"'{name}'" in message and "no params found" not in message

    waiting.until(judged, what=f"the API server to judge by {name}")


def guarded(rules: Mapping[str, str]) -> list[Manifest]:
    """Make rules each of which is about one case alone."""
    return [
        {
            "expression": f"object.metadata.labels.case != '{name}' || ({expression})",
            "message": "No.",
        }
        for name, expression in rules.items()
    ]


def outcome(sentences: list[str]) -> bool | str:
    """Tell what came of an expression by what was said."""
    if not sentences:
        return True
    return False if sentences == ["table: No."] else FAILS


def test_expressions_of_the_table(installed: Installed) -> None:
    """Judge every expression of the unit tests' table by the API server's own CEL."""
    rows = [(text, there, here) for text, here, there in expressions.OTHERWISE]
    rows += [(text, expected, expected) for text, expected in expressions.table()]
    found: dict[str, bool | str] = {}
    live: dict[str, str] = {}
    admin = installed.control_plane.admin
    for number, (text, _, _) in enumerate(rows):
        spec = {"rules": guarded({str(number): text})}
        policy = theirs(f"t{number}", spec, "default")[0]
        if admin.request("POST", f"{_VAP}?dryRun=All", body=policy).ok:
            live[str(number)] = text
        else:
            found[text] = REFUSED
    table = {"table": {"rules": guarded(live)}}
    with real(installed, table) as place:
        found |= {text: outcome(said(place, made("table", one))) for one, text in live.items()}
    here = [(name, text) for name, text in live.items() if rows[int(name)][2] != REFUSED]
    with ours(installed, {"table": {"rules": guarded(dict(here))}}) as place:
        known = {text: outcome(said(place, made("table", one))) for one, text in here}

    assert found == {text: there for text, there, _ in rows}
    assert known == {text: here for text, _, here in rows if text in known}
    assert len(known) > 200


def test_examples_of_the_documentation(installed: Installed) -> None:
    """The same objects are refused, with the same sentences; of several, theirs is the first."""
    sent = {
        (name, case): made(name, case, kind=kind_of(spec), **given)
        for name, spec in DOCUMENTED.items()
        for case, given in CASES.items()
    }
    with ours(installed, DOCUMENTED) as place:
        here = {case: _without_words(said(place, one)[:1]) for case, one in sent.items()}
    with real(installed, DOCUMENTED) as place:
        there = {case: _without_words(said(place, one)) for case, one in sent.items()}

    assert here == there
    assert {name for (name, _), found in here.items() if found} == {*DOCUMENTED} - {"foo"}


def _without_words(sentences: list[str]) -> list[str]:
    """Leave out of an error what each runtime says in its own words."""
    failed = ("can't be evaluated", "resulted in error")
    return ["it failed" if any(one in each for one in failed) else each for each in sentences]
