"""With the webhook down, where it is never called, and who may switch it off."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Client
from tests.e2e.installed import ENABLED, ENFORCED, NAMESPACE, Installed

NAMESPACES = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LABELS = ("kubectl-ml.io/enabled", "kubectl-ml.io/enforce")
UNANSWERED = 'failed calling webhook "enforce.kubectl-ml.io"'


# Down, where it isn't enforced


def test_pods_and_workloads_get_in_where_it_is_not_enforced(installed: Installed, enabled: Place):
    with installed.stopped():
        bare = enabled.try_apply(acting.pod())
        asking = enabled.try_apply(acting.deployment(accelerator="a100"))
        made = enabled.pods(2)

    assert (bare.returncode, bare.stdout) == (0, "pod/one created\n")
    assert (asking.returncode, asking.stdout) == (0, "deployment.apps/many created\n")
    assert [acting.devices(pod) for pod in made] == [{}, {}]


def test_what_got_in_without_it_follows_an_intent_edited_later(
    installed: Installed, enabled: Place
):
    with installed.stopped():
        enabled.apply(acting.deployment(accelerator="t4"))

    enabled.apply(acting.deployment(accelerator="t4:2"))

    assert acting.devices(enabled.pod(acting.devices)) == {"nvidia.com/gpu": "2"}


# Down, where it is enforced


def test_what_users_make_is_refused_where_it_is_enforced(installed: Installed, enforced: Place):
    manifests = (
        acting.pod(),
        acting.deployment(),
        acting.job(accelerator="a100"),
        acting.daemon_set(),
        acting.cron_job(),
    )

    with installed.stopped():
        refused = [enforced.try_apply(manifest) for manifest in manifests]

    assert [(each.returncode, UNANSWERED in each.stderr) for each in refused] == [(1, True)] * 5


def test_controllers_pods_start_where_it_is_enforced(installed: Installed, enforced: Place):
    enforced.apply(acting.deployment(replicas=2), acting.stateful_set(), acting.daemon_set())
    before = {acting.of(pod, "uid") for pod in enforced.pods(4)}

    with installed.stopped():
        enforced.kubectl("delete", "pods", "--all", "--wait=false")
        made = enforced.pods(4, lambda pod: acting.of(pod, "uid") not in before)

    assert sorted(pod["metadata"]["ownerReferences"][0]["kind"] for pod in made) == [
        "DaemonSet",
        "ReplicaSet",
        "ReplicaSet",
        "StatefulSet",
    ]


def test_a_pod_that_only_says_a_controller_owns_it_is_refused_where_it_is_enforced(
    installed: Installed, enforced: Place
):
    enforced.apply(acting.deployment(replicas=0))
    enforced.wait("Deployment", "many", lambda it: it["status"].get("observedGeneration"))
    (owner,) = enforced.all("ReplicaSet")
    pod = acting.pod()
    pod["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
    ]

    with installed.stopped():
        refused = enforced.try_apply(pod)

    assert UNANSWERED in refused.stderr


def test_a_scale_by_a_user_is_refused_where_it_is_enforced(installed: Installed, enforced: Place):
    enforced.apply(acting.deployment())
    enforced.pod()

    with installed.stopped():
        refused = enforced.try_kubectl("scale", "deployment", "many", "--replicas=2")

    assert UNANSWERED in refused.stderr


def test_a_job_can_be_deleted_in_the_foreground_where_it_is_enforced(
    installed: Installed, enforced: Place
):
    enforced.apply(acting.job(accelerator="h100"))
    enforced.pod()

    with installed.stopped():
        enforced.kubectl("delete", "job", "run", "--cascade=foreground", "--timeout=30s")

    assert enforced.all("Job") == []


def test_where_it_is_enforced_all_is_as_where_it_is_enabled(enforced: Place):
    enforced.apply(acting.deployment(accelerator="t4"))

    refused = enforced.try_apply(acting.pod(accelerator="a1000"))

    assert acting.devices(enforced.pod()) == {"nvidia.com/gpu": "1"}
    assert 'admission webhook "enforce.kubectl-ml.io" denied the request' in refused.stderr
    assert 'unknown device class "a1000"; did you mean "a100"?' in refused.stderr


# Never called


@pytest.mark.parametrize("name", ["kube-system", NAMESPACE])
def test_what_keeps_the_cluster_going_is_never_called(installed: Installed, name: str):
    admin = installed.control_plane.admin
    probe = acting.pod("probe", restricted(), accelerator="a1000")
    path = f"{NAMESPACES}/{name}"
    with labelled(admin, name, ENFORCED), installed.stopped():
        made = admin.request("POST", f"{path}/pods?dryRun=All", probe)
        job = acting.job("probe", {**restricted(), "restartPolicy": "Never"}, accelerator="a1000")
        workload = admin.request("POST", f"/apis/batch/v1/namespaces/{name}/jobs?dryRun=All", job)

    assert (made.status, workload.status) == (201, 201), (made.body, workload.body)
    assert installed.events("review", namespace=name) == []


def restricted() -> Any:
    return acting.spec(
        acting.container(
            securityContext={
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        )
    )


def test_a_namespace_without_the_label_is_never_called(installed: Installed, plain: Place):
    plain.apply(acting.pod(accelerator="a1000"))

    assert installed.events("review", namespace=plain.name) == []
    assert acting.devices(plain.get("Pod", "one")) == {}


# Who may switch it off


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("value", [None, "false"], ids=["removed", "changed"])
def test_a_label_is_taken_off_a_namespace_only_by_who_may(
    keeper: Client, enforced: Place, label: str, value: str | None
):
    path = f"{NAMESPACES}/{enforced.name}"
    merge = {"metadata": {"labels": {label: value}}}

    refused = keeper.request("PATCH", path, merge, content_type="application/merge-patch+json")
    other = {"metadata": {"labels": {"team": "ml"}}}
    taken = keeper.request("PATCH", path, other, content_type="application/merge-patch+json")

    assert refused.status == 403
    assert refused.body["message"].endswith(
        f'only who may "release" namespaces.kubectl-ml.io in the whole cluster can take off {label}'
    )
    assert taken.body["metadata"]["labels"]["team"] == "ml"
    assert taken.body["metadata"]["labels"][label] == "true"


def test_who_was_given_the_right_takes_the_labels_off(installed: Installed, enforced: Place):
    control_plane = installed.control_plane
    releaser = control_plane.as_user("releaser")
    path = f"{NAMESPACES}/{enforced.name}"
    merge = {"metadata": {"labels": dict.fromkeys(LABELS)}}
    with (
        bound(control_plane.admin, "e2e-edit-namespaces", "releaser", NAMESPACE_RULES),
        bound(control_plane.admin, "e2e-release", "releaser", RELEASE_RULES),
    ):
        answer = waiting.until(
            lambda: patched(releaser, path, merge), what="the right to be in force"
        )

    assert LABELS[0] not in answer["metadata"]["labels"]
    assert LABELS[1] not in answer["metadata"]["labels"]


def test_a_namespace_can_be_labelled_and_deleted_by_anyone_who_may(keeper: Client, plain: Place):
    path = f"{NAMESPACES}/{plain.name}"

    labelled = patched(keeper, path, {"metadata": {"labels": dict(ENFORCED)}})

    assert labelled
    assert keeper.request("DELETE", path + "?dryRun=All").ok


NAMESPACE_RULES = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["*"]}]
RELEASE_RULES = [
    {"apiGroups": ["kubectl-ml.io"], "resources": ["namespaces"], "verbs": ["release"]}
]


@pytest.fixture
def keeper(installed: Installed) -> Iterator[Client]:
    """Be a user who may edit namespaces, and no more."""
    control_plane = installed.control_plane
    user = control_plane.as_user("keeper")
    with bound(control_plane.admin, "e2e-keeper", "keeper", NAMESPACE_RULES):
        waiting.until(lambda: user.request("GET", NAMESPACES).ok, what="the keeper's rights")
        yield user


@contextmanager
def bound(admin: Client, name: str, user: str, rules: Any) -> Iterator[None]:
    """Give a user rights in the whole cluster for a while."""
    group = "rbac.authorization.k8s.io"
    admin.create(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    admin.create(f"{RBAC}/clusterrolebindings", binding)
    try:
        yield
    finally:
        admin.delete(f"{RBAC}/clusterrolebindings/{name}")
        admin.delete(f"{RBAC}/clusterroles/{name}")


def patched(client: Client, path: str, merge: Any) -> Any:
    """Patch, and return the object or None."""
    answer = client.request("PATCH", path, merge, content_type="application/merge-patch+json")
    return answer.body if answer.ok else None


@contextmanager
def labelled(admin: Client, name: str, labels: Any) -> Iterator[None]:
    """Put labels on a namespace for a while."""
    path = f"{NAMESPACES}/{name}"
    admin.patch(path, {"metadata": {"labels": labels}})
    try:
        yield
    finally:
        admin.patch(path, {"metadata": {"labels": dict.fromkeys(labels)}})


# Uninstalling


def test_uninstalling_while_stopped_works_and_leaves_nothing_that_refuses(installed: Installed):
    admin = installed.control_plane.admin
    with acting.place(installed, ENFORCED) as place, acting.place(installed, ENABLED) as other:
        installed.stop()
        try:
            installed.uninstall()
            told = [one.try_apply(acting.pod()) for one in (place, other)]
            made = place.pod(lambda pod: pod["status"]["phase"] == "Running")
            left = [
                each["metadata"]["name"]
                for kind in ("mutating", "validating")
                for each in admin.get(
                    f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
                )["items"]
            ]
            gone = admin.request("GET", f"{NAMESPACES}/{NAMESPACE}").status
        finally:
            installed.install()
            installed.start()
        place.apply(acting.pod("again", accelerator="a100"))
        again = place.get("Pod", "again")

    assert [each.stdout for each in told] == ["pod/one created\n"] * 2
    assert acting.devices(made) == {}
    assert [name for name in left if name.endswith("kubectl-ml.io")] == []
    assert gone == 404
    assert acting.devices(again) == {"nvidia.com/gpu": "1"}
