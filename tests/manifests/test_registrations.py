"""The registrations, whole, for a small catalogue; the shipped file is what is rendered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import conditions
from policies.workloads import catalogue
from tests.builders import pod
from webhook import registrations

CHECKOUT = Path(__file__).parents[2]
SHIPPED = CHECKOUT / "manifests" / "base" / "50-webhooks.yaml"

SMALL = """
- {kind: Pod, versions: [v1], plural: pods, roles: []}
- {kind: Deployment.apps, versions: [v1], plural: deployments, scale: true, roles: []}
- {kind: DaemonSet.apps, versions: [v1], plural: daemonsets, roles: []}
- {kind: MPIJob.kubeflow.org, versions: [v1, v2beta1], plural: mpijobs, roles: []}
"""

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
APPS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["daemonsets", "deployments"]}
MPI = {"apiGroups": ["kubeflow.org"], "apiVersions": ["v1", "v2beta1"], "resources": ["mpijobs"]}
SCALE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}
OBJECTS = [
    {**each, "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}
    for each in (PODS, APPS, MPI)
]
RESIZE = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/resize"]}
SCALES = [{**each, "operations": ["UPDATE"], "scope": "Namespaced"} for each in (SCALE, RESIZE)]

ENABLED = {"key": "kubectl-ml.io/enabled", "operator": "In", "values": ["true"]}
ENFORCED = {"key": "kubectl-ml.io/enforce", "operator": "In", "values": ["true"]}
UNENFORCED = {**ENFORCED, "operator": "NotIn"}
NOT_OURS = {
    "key": "kubernetes.io/metadata.name",
    "operator": "NotIn",
    "values": ["kube-system", "kubectl-ml"],
}

OURS = [
    "accelerators",
    "datasources",
    "guardpolicies",
    "injectionpolicies",
    "namespaceddatasources",
    "policyexceptions",
    "quotapolicies",
    "workloadkinds",
]

JUDGED = """\
request.userInfo.username in [
  'system:serviceaccount:kube-system:replicaset-controller'
] &&
has(object.metadata.ownerReferences) &&
object.metadata.ownerReferences.exists(owner,
  has(owner.controller) && owner.controller &&
  (owner.apiVersion.split('/')[0] + '/' + owner.kind) in [
  'apps/DaemonSet',
  'apps/Deployment',
  'kubeflow.org/MPIJob'
])"""


READ_BY_OTHERS = """\
has(object.metadata.annotations) &&
['kubectl-ml.io/dapr', 'kubectl-ml.io/mesh'].exists(key, key in object.metadata.annotations)"""

BARE = """\
!has(object.metadata.ownerReferences) ||
!object.metadata.ownerReferences.exists(owner,
  has(owner.controller) && owner.controller)"""


def configuration(kind: str, *webhooks: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": webhooks[0]["name"]},
        "webhooks": list(webhooks),
    }


def webhook(name: str, path: str, **members: Any) -> dict[str, Any]:
    service = {"name": "kubectl-ml", "namespace": "kubectl-ml", "path": path, "port": 443}
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": service},
        "matchPolicy": "Equivalent",
        "sideEffects": "NoneOnDryRun",
        **members,
    }


def test_the_registrations_of_a_small_catalogue() -> None:
    small = catalogue.assemble([catalogue.kind(entry) for entry in yaml.safe_load(SMALL)])
    controllers = ("system:serviceaccount:kube-system:replicaset-controller",)

    rendered = registrations.configurations(small, controllers=controllers)

    mutate = webhook(
        "mutate.kubectl-ml.io",
        "/mutate",
        failurePolicy="Ignore",
        timeoutSeconds=2,
        reinvocationPolicy="IfNeeded",
        namespaceSelector={"matchExpressions": [ENABLED, NOT_OURS]},
        rules=OBJECTS,
    )
    first = webhook(
        "0.mutate.kubectl-ml.io",
        "/mutate",
        failurePolicy="Ignore",
        timeoutSeconds=2,
        reinvocationPolicy="Never",
        namespaceSelector={"matchExpressions": [ENABLED, NOT_OURS]},
        rules=[{**PODS, "operations": ["CREATE"], "scope": "Namespaced"}],
        matchConditions=[
            {"name": "read-by-others", "expression": READ_BY_OTHERS},
            {"name": "bare", "expression": BARE},
        ],
    )
    validate = webhook(
        "validate.kubectl-ml.io",
        "/validate",
        failurePolicy="Ignore",
        timeoutSeconds=5,
        namespaceSelector={"matchExpressions": [ENABLED, UNENFORCED, NOT_OURS]},
        rules=[*OBJECTS, *SCALES],
    )
    owned = webhook(
        "owned.validate.kubectl-ml.io",
        "/validate",
        failurePolicy="Ignore",
        timeoutSeconds=5,
        namespaceSelector={"matchExpressions": [ENABLED, ENFORCED, NOT_OURS]},
        rules=OBJECTS,
        matchConditions=[{"name": "judged-with-its-owner", "expression": JUDGED}],
    )
    enforce = webhook(
        "enforce.kubectl-ml.io",
        "/validate",
        failurePolicy="Fail",
        timeoutSeconds=5,
        namespaceSelector={"matchExpressions": [ENABLED, ENFORCED, NOT_OURS]},
        rules=[*OBJECTS, *SCALES],
        matchConditions=[
            {
                "name": "not-being-deleted",
                "expression": "!has(object.metadata.deletionTimestamp)",
            },
            {"name": "not-judged-with-its-owner", "expression": f"!({JUDGED})"},
        ],
    )
    policies = webhook(
        "policies.kubectl-ml.io",
        "/validate",
        failurePolicy="Ignore",
        timeoutSeconds=5,
        rules=[
            {
                "apiGroups": ["kubectl-ml.io"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": OURS,
                "scope": "*",
            }
        ],
    )
    assert list(rendered) == [
        configuration("MutatingWebhookConfiguration", mutate),
        configuration("MutatingWebhookConfiguration", first),
        configuration("ValidatingWebhookConfiguration", validate, owned),
        configuration("ValidatingWebhookConfiguration", enforce),
        configuration("ValidatingWebhookConfiguration", policies),
    ]


def test_bare_pods_are_injected_before_others_are_asked() -> None:
    others = [
        "dapr-sidecar-injector",
        "istio-sidecar-injector",
        "kueue-mutating-webhook-configuration",
    ]
    ours = [one["metadata"]["name"] for one in registrations.configurations()]

    called = sorted([*ours, *others])

    assert called[0] == "0.mutate.kubectl-ml.io"


MESH = "inject: {mesh: {inject: 'true'}}"


@pytest.mark.parametrize(
    ("spec", "sent"),
    [
        pytest.param(MESH, {"plain", "team", "profile", "mounts"}, id="everywhere"),
        pytest.param(
            f"match: {{namespaces: {{names: [ml-*, 'team-[ab]']}}}}, {MESH}", {"team"}, id="names"
        ),
        pytest.param(f"optIn: true, {MESH}", {"profile"}, id="profile"),
        pytest.param(f"match: {{intents: [mounts]}}, {MESH}", {"mounts"}, id="intents"),
        pytest.param(
            "inject: {annotations: {vault.hashicorp.com/agent-inject: 'true'}}, optIn: true",
            {"profile"},
            id="annotations",
        ),
        pytest.param(
            "inject: {dapr: {dapr.io/log-level: warn}}, optIn: true", {"profile"}, id="dapr"
        ),
        pytest.param("inject: {shm: 1Gi}", set(), id="nothing-that-others-read"),
        pytest.param(f"mode: Preview, {MESH}", set(), id="preview"),
        pytest.param(f"match: {{kinds: [Job.batch]}}, {MESH}", set(), id="another-kind"),
        pytest.param(f"match: {{owners: [Job.batch]}}, {MESH}", set(), id="pods-of-a-workload"),
    ],
)
def test_bare_pods_that_a_policy_marks_for_others_are_sent_first(
    tmp_path: Path, spec: str, sent: set[str]
) -> None:
    head = "apiVersion: kubectl-ml.io/v1alpha1\nkind: InjectionPolicy\nmetadata: {name: site}\n"
    (tmp_path / "site.yaml").write_text(head + f"spec: {{{spec}}}\n")
    made = yaml.safe_load_all(run("--policies", str(tmp_path)).stdout)
    [first] = [each for one in made for each in one["webhooks"] if each["name"].startswith("0.")]

    expression = conditions.compiled(first["matchConditions"][0]["expression"], "BOOL")
    pods = {
        "plain": ("cv", pod()),
        "team": ("team-a", pod()),
        "profile": ("cv", pod(profile="site,ddp")),
        "mounts": ("cv", pod(mounts="pvc://a:/a")),
        "intent": ("cv", pod(dapr="true")),
    }

    found = {
        name
        for name, (namespace, obj) in pods.items()
        if expression.truth(
            conditions.bind({"object": obj, "oldObject": None, "request": {"namespace": namespace}})
        )
    }
    assert found == sent | {"intent"}


def test_every_kind_of_the_catalogue_is_asked_about_and_nothing_else() -> None:
    known = [
        kind
        for kind in catalogue.builtin().kinds.values()
        if kind.mutate and not kind.cluster_scoped
    ]
    plain = {(kind.group, kind.plural) for kind in known}
    scales = {(kind.group, f"{kind.plural}/scale") for kind in known if kind.scale}
    scales.add(("", "pods/resize"))

    asked = {
        each["name"]: {
            (group, resource)
            for rule in each["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        for one in registrations.configurations()
        for each in one["webhooks"]
    }

    assert asked == {
        "mutate.kubectl-ml.io": plain,
        "0.mutate.kubectl-ml.io": {("", "pods")},
        "validate.kubectl-ml.io": plain | scales,
        "owned.validate.kubectl-ml.io": plain,
        "enforce.kubectl-ml.io": plain | scales,
        "policies.kubectl-ml.io": {("kubectl-ml.io", resource) for resource in OURS},
    }


def test_the_shipped_file_is_what_is_rendered() -> None:
    assert SHIPPED.read_text() == run().stdout, "stale: run `make generate`"


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own program
        (sys.executable, "-m", "webhook.registrations", *flags),
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        timeout=30,
        check=False,
    )


def test_a_controller_of_ones_own_is_added() -> None:
    account = "system:serviceaccount:ml-system:training-operator"

    rendered = run("--controller", account)

    assert rendered.stdout.replace(f",\n        '{account}'", "") == SHIPPED.read_text()
    assert rendered.stdout.count(account) == 2


def test_what_is_no_user_is_refused() -> None:
    refused = run("--controller", "a' || true || '")

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "Invalid value for --controller" in refused.stderr
