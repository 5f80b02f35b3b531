"""The manifests as they are shipped, on a real API server."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.controlplane import waiting
from tests.e2e.installed import ENABLED, ENFORCED, NAMESPACE, Installed

IMAGE = "registry.example.com/train:1"
REFUSED = 'failed calling webhook "enforce.kubectl-ml.io"'


def pod(name: str = "one", *, owner: dict[str, Any] | None = None, **intents: str) -> Any:
    metadata: dict[str, Any] = {
        "name": name,
        "annotations": {f"kubectl-ml.io/{key}": value for key, value in intents.items()},
    }
    if owner:
        metadata["ownerReferences"] = [owner]
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "main", "image": IMAGE, "securityContext": security}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container]},
    }


def deployment(name: str = "many", **intents: str) -> Any:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": pod(name, **intents)["metadata"],
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def apply(
    installed: Installed, namespace: str, manifest: Any, *flags: str
) -> subprocess.CompletedProcess[str]:
    return installed.control_plane.admin.try_kubectl(
        *("apply", "-n", namespace, "-f", "-", *flags), stdin=manifest
    )


def listed(installed: Installed, namespace: str, path: str = "api/v1", what: str = "pods") -> Any:
    return installed.control_plane.admin.get(f"/{path}/namespaces/{namespace}/{what}")["items"]


def first(installed: Installed, namespace: str, path: str = "api/v1", what: str = "pods") -> Any:
    """Wait for the first that isn't going away."""

    def found() -> Any:
        there = listed(installed, namespace, path, what)
        return [each for each in there if "deletionTimestamp" not in each["metadata"]]

    return waiting.until(found, what=what)[0]


def limits(made: Any) -> Any:
    return made["spec"]["containers"][0].get("resources", {}).get("limits")


def test_a_deployment_says_what_it_needs_and_its_pods_get_it(installed: Installed):
    namespace = installed.namespace()

    applied = apply(installed, namespace, deployment(accelerator="a100:2"))

    assert applied.stdout == "deployment.apps/many created\n"
    assert limits(first(installed, namespace)) == {"nvidia.com/gpu": "2"}
    bound = waiting.until(
        lambda: listed(installed, namespace)[0]["spec"].get("nodeName"), what="the pod to be bound"
    )
    assert bound == "gpu-a100-0"


@pytest.mark.parametrize(
    ("labels", "by"),
    [
        pytest.param(ENABLED, "validate.kubectl-ml.io", id="enabled"),
        pytest.param(ENFORCED, "enforce.kubectl-ml.io", id="enforced"),
    ],
)
def test_an_unusable_intent_is_refused_at_apply(
    installed: Installed, labels: dict[str, str], by: str
):
    namespace = installed.namespace(labels)

    applied = apply(installed, namespace, deployment(accelerator="a1000"))

    assert f'admission webhook "{by}" denied the request: ' in applied.stderr
    assert 'unknown device class "a1000"' in applied.stderr
    assert applied.stderr.endswith("see: kubectl ml explain -f FILE\n")


def test_the_shipped_deployment_runs_in_its_restricted_namespace(installed: Installed):
    found = installed.control_plane.wait_for(
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/kubectl-ml",
        lambda it: it.get("status", {}).get("availableReplicas") == 2,
    )

    assert found["status"]["readyReplicas"] == 2


def test_without_labels_nothing_is_asked(installed: Installed):
    namespace = installed.namespace({})

    apply(installed, namespace, pod(accelerator="a100"))

    assert limits(first(installed, namespace)) is None
    assert installed.events("review", namespace=namespace) == []


def test_stopped_and_not_enforced_everything_gets_in(installed: Installed):
    namespace = installed.namespace()
    with installed.stopped():
        applied = [
            apply(installed, namespace, each).stdout
            for each in (pod(), deployment(accelerator="a100"))
        ]

    assert applied == ["pod/one created\n", "deployment.apps/many created\n"]


class TestStoppedAndEnforced:
    """What was admitted goes on; what is new waits for us."""

    @pytest.fixture
    def namespace(self, installed: Installed) -> Iterator[str]:
        name = installed.namespace(ENFORCED)
        apply(installed, name, deployment(accelerator="a100"))
        apply(installed, name, pod("old", accelerator="a100"))
        first(installed, name)
        with installed.stopped():
            yield name

    def test_what_is_new_is_refused(self, installed: Installed, namespace: str):
        for manifest in (pod(), deployment("other")):
            applied = apply(installed, namespace, manifest)

            assert REFUSED in applied.stderr

    def test_a_forged_owner_gains_nothing(self, installed: Installed, namespace: str):
        owned = first(installed, namespace, "apis/apps/v1", "replicasets")
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owned["metadata"]["name"],
            "uid": owned["metadata"]["uid"],
            "controller": True,
        }

        applied = apply(installed, namespace, pod(owner=owner))

        assert REFUSED in applied.stderr

    def test_a_changed_workload_and_a_scale_are_refused(self, installed: Installed, namespace: str):
        kubectl = installed.control_plane.admin.try_kubectl

        labelled = kubectl("label", "deployment/many", "a=b", "-n", namespace)
        scaled = kubectl("scale", "deployment/many", "--replicas=3", "-n", namespace)

        assert REFUSED in labelled.stderr
        assert REFUSED in scaled.stderr

    def test_controllers_go_on(self, installed: Installed, namespace: str):
        kubectl = installed.control_plane.kubectl
        before = first(installed, namespace, "apis/apps/v1", "replicasets")
        kubectl("delete", "replicaset", before["metadata"]["name"], "-n", namespace)

        after = waiting.until(
            lambda: [
                each
                for each in listed(installed, namespace, "apis/apps/v1", "replicasets")
                if each["metadata"]["uid"] != before["metadata"]["uid"]
                and each.get("status", {}).get("readyReplicas")
            ],
            what="the controllers to make what was deleted",
        )

        assert len(after) == 1

    def test_objects_can_go(self, installed: Installed, namespace: str):
        kubectl = installed.control_plane.kubectl

        gone = kubectl(
            *("delete", "deployment/many", "pod/old", "-n", namespace, "--cascade=foreground"),
            *("--wait", "--timeout=20s"),
        )

        assert "deleted" in gone


def test_what_enforcement_leaves_out_is_still_validated(installed: Installed):
    namespace = installed.namespace(ENFORCED)

    apply(installed, namespace, deployment(accelerator="a100"))
    name = first(installed, namespace)["metadata"]["name"]

    reviews = installed.events("review", namespace=namespace, endpoint="validate", kind="Pod")
    assert [line["name"] for line in reviews][:1] == [name]


@pytest.mark.parametrize("untouched", ["kube-system", NAMESPACE])
def test_our_own_namespace_and_kube_system_are_never_asked_about(
    installed: Installed, untouched: str
):
    path = f"/api/v1/namespaces/{untouched}"
    admin = installed.control_plane.admin
    admin.patch(path, {"metadata": {"labels": dict(ENFORCED)}})
    try:
        running = apply(installed, untouched, pod("running", accelerator="a100"))
        with installed.stopped():
            stopped = apply(installed, untouched, pod("stopped"))
        made = admin.get(f"{path}/pods/running")
    finally:
        for name in ("running", "stopped"):
            admin.request("DELETE", f"{path}/pods/{name}")
        admin.patch(path, {"metadata": {"labels": dict.fromkeys(ENFORCED)}})

    assert (running.stdout, stopped.stdout) == ("pod/running created\n", "pod/stopped created\n")
    assert limits(made) is None
    assert installed.events("review", namespace=untouched) == []


def test_uninstalling_while_stopped_works(installed: Installed):
    namespace = installed.namespace(ENFORCED)
    installed.stop()
    installed.uninstall()
    try:
        applied = apply(installed, namespace, pod())
    finally:
        installed.install()
        installed.start()

    assert applied.stdout == "pod/one created\n"


class TestTheLabelsOfANamespace:
    """Who may edit namespaces may not take them from us, unless told so for the whole cluster."""

    @pytest.fixture
    def editor(self, installed: Installed) -> Any:
        kubectl = installed.control_plane.admin.try_kubectl
        verbs = "--verb=get,list,patch,update"
        subresources = "namespaces,namespaces/status,namespaces/finalize"
        kubectl("create", "clusterrole", "editor", verbs, f"--resource={subresources}")
        kubectl("create", "clusterrolebinding", "editor", "--clusterrole=editor", "--user=eve")
        return installed.control_plane.as_user("eve")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            pytest.param("kubectl-ml.io/enforce-", "kubectl-ml.io/enforce", id="one"),
            pytest.param(
                "kubectl-ml.io/enabled=false", "kubectl-ml.io/enabled", id="another-value"
            ),
            pytest.param(
                "kubectl-ml.io/enabled- kubectl-ml.io/enforce-",
                "kubectl-ml.io/enabled and kubectl-ml.io/enforce",
                id="both",
            ),
        ],
    )
    def test_stay(self, installed: Installed, editor: Any, change: str, said: str):
        namespace = installed.namespace(ENFORCED)

        answer = editor.try_kubectl("label", "--overwrite", "namespace", namespace, *change.split())

        assert answer.stderr.endswith(
            'denied request: only who may "release" namespaces.kubectl-ml.io in the whole cluster '
            f"can take off {said}\n"
        )

    def test_stay_through_a_subresource(self, installed: Installed, editor: Any):
        namespace = installed.namespace(ENFORCED)
        merge = {"metadata": {"labels": {"kubectl-ml.io/enforce": None}}}

        answer = editor.request(
            "PATCH",
            f"/api/v1/namespaces/{namespace}/status",
            merge,
            content_type="application/merge-patch+json",
        )

        assert answer.status == 403

    def test_a_right_inside_the_namespace_is_not_enough(self, installed: Installed, editor: Any):
        namespace = installed.namespace(ENFORCED)
        kubectl = installed.control_plane.kubectl
        kubectl("create", "role", "all", "--verb=*", "--resource=*.*", "-n", namespace)
        kubectl("create", "rolebinding", "all", "--role=all", "--user=eve", "-n", namespace)

        answer = editor.try_kubectl("label", "namespace", namespace, "kubectl-ml.io/enforce-")

        assert answer.returncode == 1

    def test_other_labels_and_ours_that_are_new_are_free(self, installed: Installed, editor: Any):
        namespace = installed.namespace()
        labels = ("kubectl-ml.io/enforce=true", "team=nlp")

        answer = editor.try_kubectl("label", "namespace", namespace, *labels)

        assert answer.stdout == f"namespace/{namespace} labeled\n"

    def test_go_by_whom_it_was_granted_to(self, installed: Installed):
        namespace = installed.namespace(ENFORCED)
        control_plane = installed.control_plane
        releaser = control_plane.as_user("rita")
        for role in ("editor", "kubectl-ml-namespaces"):
            control_plane.admin.try_kubectl(
                *("create", "clusterrole", "editor", "--verb=get,patch", "--resource=namespaces")
            )
            control_plane.admin.try_kubectl(
                *("create", "clusterrolebinding", f"rita-{role}", f"--clusterrole={role}"),
                "--user=rita",
            )

        answer = releaser.try_kubectl("label", "namespace", namespace, "kubectl-ml.io/enforce-")

        assert answer.stdout == f"namespace/{namespace} unlabeled\n"


def test_our_requests_have_a_priority_level_of_their_own(installed: Installed):
    metrics = installed.control_plane.kubectl("get", "--raw", "/metrics")

    lines = [
        line
        for line in metrics.splitlines()
        if line.startswith("apiserver_flowcontrol_dispatched_requests_total{")
        and 'flow_schema="kubectl-ml"' in line
        and 'priority_level="kubectl-ml"' in line
    ]
    assert float(lines[0].rpartition(" ")[2]) > 0
