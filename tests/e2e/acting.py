"""
A person at work: one namespace, rights there and nowhere else, and the real kubectl.

`Place` is that namespace seen by its user. What an administrator does (labels of namespaces, the
status of a pod that no kubelet runs) goes through `Place.admin`.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.e2e.controlplane import errors, waiting
from tests.e2e.controlplane.client import Client, Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.installed import ENABLED, Installed

PREFIX = "kubectl-ml.io/"
INJECTED = PREFIX + "injected"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
USER = "ada"

_ROLE = "e2e-team"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GROUPS = (
    "",
    "apps",
    "batch",
    "jobset.x-k8s.io",
    "kubeflow.org",
    "leaderworkerset.x-k8s.io",
    "ray.io",
    "serving.knative.dev",
    "serving.kserve.io",
    "trainer.kubeflow.org",
)
_COLLECTIONS = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "ControllerRevision": "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
}


class Place:
    """One namespace and the user who works in it."""

    def __init__(self, control_plane: ControlPlane, name: str, user: Client):
        self.control_plane = control_plane
        self.admin = control_plane.admin
        self.name = name
        self.user = user

    # kubectl, as the user

    def kubectl(self, *args: str, stdin: str | Manifest | None = None) -> str:
        """Run kubectl here and return what it printed; raise when it fails."""
        return self.user.kubectl(*args, "-n", self.name, stdin=stdin)

    def try_kubectl(
        self, *args: str, stdin: str | Manifest | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl here and return how it went."""
        return self.user.try_kubectl(*args, "-n", self.name, stdin=stdin)

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> str:
        """Apply these and return what kubectl printed; raise when one is refused."""
        return self.kubectl("apply", *flags, "-f", "-", stdin=listed(*manifests))

    def try_apply(
        self, *manifests: Manifest, flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Apply these and return how it went."""
        return self.try_kubectl("apply", *flags, "-f", "-", stdin=listed(*manifests))

    def diff(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> tuple[int, str]:
        """Tell what `kubectl diff` says: its exit code (0: nothing) and its output."""
        done = self.try_kubectl("diff", *flags, "-f", "-", stdin=listed(*manifests))
        return done.returncode, done.stdout + done.stderr

    # What is here

    def path(self, kind: str, name: str = "") -> str:
        """Give the path of a collection or of an object in it."""
        return _COLLECTIONS[kind].format(self.name) + (f"/{name}" if name else "")

    def get(self, kind: str, name: str) -> Any:
        """Read an object."""
        return self.user.get(self.path(kind, name))

    def all(self, kind: str) -> list[Any]:
        """Read all objects of a kind."""
        return list(self.user.get(self.path(kind))["items"])

    def wait(self, kind: str, name: str, condition: Callable[[Any], Any] = bool) -> Any:
        """Wait until an object is there and as it should be; return it."""
        return self.control_plane.wait_for(self.path(kind, name), condition)

    def pods(self, count: int = 1, condition: Callable[[Any], Any] = bool) -> list[Any]:
        """Wait until this many pods are as they should be, and none is on its way out."""

        def found() -> list[Any] | None:
            there = [pod for pod in self.all("Pod") if not pod["metadata"].get("deletionTimestamp")]
            return there if len(there) == count and all(map(condition, there)) else None

        try:
            return waiting.until(found, what=f"{count} pods")
        except errors.WaitError as error:
            now = [(pod["metadata"]["name"], pod.get("status")) for pod in self.all("Pod")]
            raise errors.WaitError(f"{error}; the pods are now {now}") from error

    def pod(self, condition: Callable[[Any], Any] = bool) -> Any:
        """Wait for the one pod that is here."""
        return self.pods(1, condition)[0]

    def would_be(self, pod: Manifest) -> Any:
        """Ask as admin, with a dry run, what would become of a pod."""
        answer = self.admin.request("POST", self.path("Pod") + "?dryRun=All", pod)
        return answer.body

    # What its administrator does

    def label(self, **labels: str | None) -> None:
        """Set labels of the namespace, `enabled="true"` is `kubectl-ml.io/enabled`."""
        changes = {PREFIX + key: value for key, value in labels.items()}
        self.admin.patch(f"/api/v1/namespaces/{self.name}", {"metadata": {"labels": changes}})

    def enable(self) -> None:
        """Let the webhook act here from now on."""
        self.label(enabled="true")
        probe = pod("probe", accelerator="gpu")
        waiting.until(lambda: devices(self.would_be(probe)), what="the webhook to act here")

    def set_status(self, name: str, status: Manifest) -> None:
        """Report the status of a pod, as a kubelet would."""
        self.admin.patch(self.path("Pod", name) + "/status", {"status": status})


@contextmanager
def place(installed: Installed, labels: Mapping[str, str] = ENABLED) -> Iterator[Place]:
    """Make a namespace with these labels and a user of it; its objects go afterwards."""
    control_plane = installed.control_plane
    name = installed.namespace(labels)
    user = control_plane.as_user(USER)
    _let_work(control_plane.admin, name)
    waiting.until(
        lambda: user.request("GET", _COLLECTIONS["Pod"].format(name)).ok, what="the user's rights"
    )
    try:
        yield Place(control_plane, name, user)
    finally:
        control_plane.admin.delete(f"/api/v1/namespaces/{name}")


def _let_work(admin: Client, namespace: str) -> None:
    role = {
        "metadata": {"name": _ROLE},
        "rules": [{"apiGroups": list(_GROUPS), "resources": ["*"], "verbs": ["*"]}],
    }
    if not admin.request("GET", f"{_RBAC}/clusterroles/{_ROLE}").ok:
        admin.create(f"{_RBAC}/clusterroles", role)
    binding = {
        "metadata": {"name": _ROLE},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ROLE,
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }  # fmt: skip
    admin.create(f"{_RBAC}/namespaces/{namespace}/rolebindings", binding)


# Manifests as people write them


def listed(*manifests: Manifest) -> str:
    """Write manifests as one stream."""
    return "\n---\n".join(json.dumps(manifest) for manifest in manifests)


def intents(**values: str) -> dict[str, str]:
    """Write intents as annotations."""
    return {PREFIX + key: value for key, value in values.items()}


def spec(*containers: Manifest, **members: Any) -> Manifest:
    """Write a pod spec; one container "main" unless others are given."""
    return {"containers": list(containers) or [container()], **members}


def container(name: str = "main", **members: Any) -> Manifest:
    """Write a container."""
    return {"name": name, "image": "registry.example.com/train:1", **members}


def pod(name: str = "one", pod_spec: Manifest | None = None, **wanted: str) -> Manifest:
    """Write a bare Pod with intents."""
    return _object("v1", "Pod", name, wanted, pod_spec or spec())


def deployment(
    name: str = "many", pod_spec: Manifest | None = None, replicas: int = 1, **wanted: str
) -> Manifest:
    """Write a Deployment with intents."""
    members = {"replicas": replicas, **_selected(name, pod_spec)}
    return _object("apps/v1", "Deployment", name, wanted, members)


def stateful_set(name: str = "ordered", replicas: int = 1, **wanted: str) -> Manifest:
    """Write a StatefulSet with intents."""
    members = {"replicas": replicas, "serviceName": name, **_selected(name, None)}
    return _object("apps/v1", "StatefulSet", name, wanted, members)


def daemon_set(name: str = "each", **wanted: str) -> Manifest:
    """Write a DaemonSet with intents."""
    return _object("apps/v1", "DaemonSet", name, wanted, _selected(name, None))


def job(name: str = "run", pod_spec: Manifest | None = None, **wanted: str) -> Manifest:
    """Write a Job with intents."""
    template = {"spec": pod_spec or spec(restartPolicy="Never")}
    return _object("batch/v1", "Job", name, wanted, {"template": template})


def cron_job(name: str = "nightly", **wanted: str) -> Manifest:
    """Write a CronJob with intents, which starts once a year."""
    template = {"spec": {"template": {"spec": spec(restartPolicy="Never")}}}
    members = {"schedule": "0 0 1 1 *", "jobTemplate": template}
    return _object("batch/v1", "CronJob", name, wanted, members)


def _selected(name: str, pod_spec: Manifest | None) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec or spec()}
    return {"selector": {"matchLabels": {"app": name}}, "template": template}


def _object(
    version: str, kind: str, name: str, wanted: Mapping[str, str], members: Manifest
) -> Manifest:
    metadata: Manifest = {"name": name}
    if wanted:
        metadata["annotations"] = intents(**wanted)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": members}


# What objects carry


def devices(made: Any, index: int = 0) -> Any:
    """Read the devices of a pod's container, or of a template's."""
    limits = _pod_spec(made)["containers"][index].get("resources", {}).get("limits", {})
    return {name: count for name, count in limits.items() if "/" in name}


def carried(made: Any) -> dict[str, str]:
    """Read the intents of a pod or of a template, without the record of what was injected."""
    found = made["spec"].get("template", made)["metadata"].get("annotations") or {}
    return {
        key.removeprefix(PREFIX): value
        for key, value in found.items()
        if key.startswith(PREFIX) and key != INJECTED
    }


def nodes_wanted(made: Any) -> Any:
    """Read the node affinity's terms of a pod or of a template."""
    affinity = _pod_spec(made).get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    return required.get("nodeSelectorTerms", [])


def tolerated(made: Any) -> list[str]:
    """Read the keys of the taints that a pod tolerates, but those of failing nodes."""
    keys = [each["key"] for each in _pod_spec(made).get("tolerations", ())]
    return [key for key in keys if not key.startswith("node.kubernetes.io/")]


def _pod_spec(made: Any) -> Any:
    if "spec" not in made:  # a refusal: say it
        raise AssertionError(made)
    return made["spec"].get("template", made)["spec"]


def of(made: Any, *members: str) -> tuple[Any, ...]:
    """Read members of an object's metadata: generation, resourceVersion."""
    return tuple(made["metadata"].get(member) for member in members)
