"""What the webhook knows of a real cluster, read by its own service account."""

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.controlplane import cluster, install, processes, waiting
from tests.e2e.installed import ENABLED, Installed

TEAM = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: team}
spec:
  match: {kinds: [Pod], namespaces: {selector: {matchLabels: {team: nlp}}}}
  inject: {env: [{name: TEAM, value: nlp}]}
"""


def env(installed: Installed, namespace: str) -> Any:
    """Tell which variables a pod gets there, without making it."""
    pod = {
        "metadata": {"name": "dry"},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/train:1"}]},
    }
    made = installed.control_plane.admin.create(
        f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod
    )
    return made["spec"]["containers"][0].get("env")


NLP = [{"name": "TEAM", "value": "nlp"}]


def test_the_labels_of_a_namespace_are_followed(installed: Installed):
    path = "/api/v1/namespaces"
    with installed.policies(TEAM):
        namespace = installed.namespace(ENABLED)
        before = env(installed, namespace)
        installed.control_plane.admin.patch(
            f"{path}/{namespace}", {"metadata": {"labels": {"team": "nlp"}}}
        )
        waiting.until(lambda: env(installed, namespace) == NLP, what="the label", timeout_seconds=5)

    assert before is None


def test_a_namespace_and_what_is_in_it_in_one_go(installed: Installed):
    admin = installed.control_plane.admin
    namespace = "in-one-go"
    labels = {**ENABLED, "team": "nlp"}
    review = {
        "metadata": {"name": "many"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "many"}},
            "template": {
                "metadata": {"labels": {"app": "many"}},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/a:1"}]},
            },
        },
    }
    with installed.policies(TEAM):
        admin.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        admin.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", review)
        pods = waiting.until(
            lambda: admin.get(f"/api/v1/namespaces/{namespace}/pods")["items"], what="its pod"
        )

    assert pods[0]["spec"]["containers"][0]["env"] == NLP
    assert installed.events("a namespace is not known; taken as unlabelled", name=namespace) == []


def test_what_is_installed_and_which_version(installed: Installed, load_crds: Callable[..., None]):
    load_crds("localqueues.kueue.x-k8s.io")

    installed.stop()
    installed.start()

    known = installed.events("cluster read")[-1]
    assert known["kube_version"] == "1.36"
    assert "kueue" in known["installed"]


def test_what_was_known_stays_while_the_api_server_restarts(installed: Installed):
    namespace = installed.namespace({**ENABLED, "team": "nlp"})
    control_plane = installed.control_plane
    with installed.policies(TEAM):
        assert env(installed, namespace) == NLP
        failed = len(installed.events("the cluster can't be read"))
        again = len(installed.events("the cluster can be read again"))
        control_plane.stop_part("kube-apiserver")
        waiting.until(
            lambda: len(installed.events("the cluster can't be read")) > failed,
            what="the webhook to miss the API server",
        )
        ready = installed.ready()
        control_plane.start_part("kube-apiserver")
        waiting.until(
            lambda: len(installed.events("the cluster can be read again")) > again,
            what="the webhook to find the API server",
        )
        after = env(installed, namespace)

    assert ready
    assert after == NLP


def test_without_its_rights_it_is_not_ready_and_says_why(installed: Installed):
    control_plane = installed.control_plane
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubectl-ml"
    kept = control_plane.admin.get(binding)
    control_plane.admin.delete(binding)
    installed.stop()
    event = "the cluster can't be read"
    failed = len(installed.events(event, what="namespaces"))
    try:
        installed.run()
        waiting.until(
            lambda: len(installed.events(event, what="namespaces")) > failed, what="a refusal"
        )
        said = installed.events(event, what="namespaces")[-1]
        ready = installed.ready()
    finally:
        del kept["metadata"]["resourceVersion"], kept["metadata"]["uid"]
        control_plane.admin.create(binding.rpartition("/")[0], kept)
        waiting.until(installed.ready, what="the webhook to be ready")

    assert not ready
    assert said["error"] == (
        "the API server didn't give the namespaces: 403 namespaces is forbidden: User "
        '"system:serviceaccount:kubectl-ml:kubectl-ml" cannot list resource "namespaces" in API '
        'group "" at the cluster scope'
    )


def test_a_certificate_from_files_is_one_the_api_server_takes(
    controlplane: cluster.ControlPlane, tmp_path: Path
):
    shutil.copytree(processes.CHECKOUT / "manifests", tmp_path / "manifests")
    files = tmp_path / "manifests" / "components" / "self-signed"
    subprocess.run(  # noqa: S603 -- our own program, as `make certificates` runs it
        (sys.executable, "-m", "webhook.self_signed", str(files)),
        cwd=processes.CHECKOUT,
        capture_output=True,
        check=True,
    )
    objects = install.read(controlplane, tmp_path / "manifests" / "overlays" / "self-signed")
    configurations = [each for each in objects if each["kind"].endswith("WebhookConfiguration")]

    applied = controlplane.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
        stdin={"apiVersion": "v1", "kind": "List", "items": configurations},
    )

    assert applied.count("serverside-applied (server dry run)") == 5


def test_a_train_job_gets_the_field_that_its_definition_has(
    load_crds: Callable[..., None], installed: Installed
):
    """As with Kubeflow's Trainer 2.1, whose TrainJob is of the same version as that of 2.2."""
    load_crds("trainjobs.trainer.kubeflow.org")
    admin, namespace = installed.control_plane.admin, installed.namespace(ENABLED)
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "dry", "annotations": {"kubectl-ml.io/accelerator": "l4:2"}},
        "spec": {"runtimeRef": {"name": "torch-distributed"}},
    }
    path = f"/apis/{job['apiVersion']}/namespaces/{namespace}/trainjobs?dryRun=All"
    definition = (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainjobs.trainer.kubeflow.org"
    )
    versions = admin.get(definition)["spec"]["versions"]
    older = copy.deepcopy(versions)
    spec = older[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec["podTemplateOverrides"] = {"type": "array", "items": anything}
    del spec["runtimePatches"]

    def written() -> set[str]:
        installed.stop()
        installed.start()  # it looks when it starts, and once a minute
        return {"runtimePatches", "podTemplateOverrides"} & set(admin.create(path, job)["spec"])

    newest = written()
    admin.patch(definition, {"spec": {"versions": older}})
    try:
        waiting.until(
            lambda: written() == {"podTemplateOverrides"}, what="the field", timeout_seconds=30
        )
    finally:
        admin.patch(definition, {"spec": {"versions": versions}})

    assert newest == {"runtimePatches"}


def bounded(installed: Installed, namespace: str, plural: str, spec: Any) -> None:
    """Make a LimitRange or a ResourceQuota, and wait until it is in force."""
    admin, path = installed.control_plane.admin, f"/api/v1/namespaces/{namespace}/{plural}"
    admin.create(path, {"metadata": {"name": "bounds"}, "spec": spec})
    if plural == "resourcequotas":
        waiting.until(
            lambda: admin.get(f"{path}/bounds").get("status", {}).get("used"), what="the quota"
        )


def test_what_a_namespace_refuses_of_pods_is_refused_of_their_job(installed: Installed):
    """Each is asked about twice: a Pod of the API server, where we don't act, and a Job of us."""
    admin = installed.control_plane.admin
    level = {"pod-security.kubernetes.io/enforce": "baseline"}
    here, plain = installed.namespace({**ENABLED, **level}), installed.namespace(level)
    limits = [
        {"type": "Container", "max": {"cpu": "4"}, "maxLimitRequestRatio": {"cpu": "2"}},
        {"type": "Pod", "max": {"cpu": "6"}},
    ]
    for namespace in (here, plain):
        bounded(installed, namespace, "limitranges", {"limits": limits})
        bounded(installed, namespace, "resourcequotas", {"hard": {"requests.memory": "4Gi"}})
    memory = {"memory": "1Gi"}
    small, large = {"cpu": "3", **memory}, {"cpu": "5", **memory}
    cases = {
        "fits": ([{"limits": small}], {}),
        "fits by defaults": ([{"requests": memory}], {}),
        "more than a container may": ([{"limits": large}], {}),
        "more than a pod may": ([{"limits": {"cpu": "4", **memory}}, {"limits": small}], {}),
        "too far from the request": (
            [{"requests": {"cpu": "1", **memory}, "limits": {"cpu": "3"}}],
            {},
        ),
        "no memory": ([{"limits": {"cpu": "1"}}], {}),
        "more memory than there is": ([{"limits": {"memory": "8Gi"}}], {}),
        "not baseline": ([{"limits": small}], {"hostNetwork": True}),
    }

    def verdicts(resources: list[Any], more: Any) -> tuple[bool, bool]:
        containers = [
            {"name": f"c{number}", "image": "registry.example.com/a:1", "resources": one}
            for number, one in enumerate(resources)
        ]
        spec = {"restartPolicy": "Never", "containers": containers, **more}
        metadata = {"metadata": {"name": "asked"}}
        job = {**metadata, "spec": {"template": {"spec": spec}}}
        pods = f"/api/v1/namespaces/{plain}/pods?dryRun=All"
        jobs = f"/apis/batch/v1/namespaces/{here}/jobs?dryRun=All"
        return (
            admin.request("POST", pods, {**metadata, "spec": spec}).ok,
            admin.request("POST", jobs, job).ok,
        )

    waiting.until(
        lambda: not verdicts(*cases["no memory"])[1] and not verdicts(*cases["not baseline"])[1],
        what="the bounds to be known",
        timeout_seconds=5,
    )
    found = {name: verdicts(*case) for name, case in cases.items()}

    assert found == {name: (name.startswith("fits"),) * 2 for name in cases}
