"""
The one module that talks to the API server.

    here = cluster.connect(target)
    here.create(manifest, dry_run=True)
    here.find_all("batch/v1", "Job", labels="kubectl-ml.io/name")

Objects are plain manifests, found by apiVersion and kind. What is beneath, kubeconfig,
TLS and requests, is in `connection`, which nothing else imports.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from kubectl_ml import answers
from kubectl_ml.answers import Asked
from kubectl_ml.connection import Connection, Target, open_connection
from kubectl_ml.errors import NotFound, NotInstalled, TimedOut
from policies.model import JSONPatch, Manifest

__all__ = ["Cluster", "Event", "Target", "connect"]

FIELD_MANAGER = "kubectl-ml"
PAGE = 500  # objects of one answer to a list

# What the plugin makes and reads: known here, so that nothing has to be asked for it.
_PLURALS: Mapping[tuple[str, str], str] = {
    ("v1", "Pod"): "pods",
    ("v1", "Event"): "events",
    ("v1", "Service"): "services",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("batch/v1", "Job"): "jobs",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("networking.k8s.io/v1", "Ingress"): "ingresses",
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): "jobsets",
    ("kubeflow.org/v1", "PyTorchJob"): "pytorchjobs",
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): "trainjobs",
    ("serving.kserve.io/v1beta1", "InferenceService"): "inferenceservices",
    ("serving.knative.dev/v1", "Service"): "services",
    ("keda.sh/v1alpha1", "ScaledObject"): "scaledobjects",
    ("kueue.x-k8s.io/v1beta1", "Workload"): "workloads",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a watch saw: ADDED, MODIFIED or DELETED, and the object as it is now."""

    type: str
    object: Manifest


@dataclass(slots=True, kw_only=True)
class Cluster:
    """
    A way to one API server.

    `namespace` is the one that objects without one are in; `flags` are what a command that is
    hinted at needs to come here, too: ` -n team`.
    """

    connection: Connection
    namespace: str
    flags: str = ""
    _plurals: dict[tuple[str, str], str] = field(default_factory=lambda: dict(_PLURALS))

    # What there is

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the server knows this kind; everyone who is logged in may ask."""
        return any(each["kind"] == kind for each in self._discover(api_version))

    def short_for(self, api_version: str, short: str) -> str:
        """Name the kind that the server gives this short name (`deploy`, `isvc`), or nothing."""
        found = self._discover(api_version)
        return next((each["kind"] for each in found if short in each.get("shortNames", ())), "")

    def groups(self) -> frozenset[str]:
        """Name the API groups that are served."""
        asked = Asked(verb="get", api_version="v1", kind="APIGroupList")
        found = self.connection.json("GET", "/apis", asked=asked)
        return frozenset(each["name"] for each in found.get("groups") or ())

    def version(self) -> str:
        """Say which Kubernetes it is: `v1.36.2`."""
        asked = Asked(verb="get", api_version="v1", kind="Version")
        return str(self.connection.json("GET", "/version", asked=asked).get("gitVersion"))

    def openapi(self, path: str = "/openapi/v3") -> Manifest:
        """Read where each group's schemas are, or those at one of these places; everyone may."""
        asked = Asked(verb="get", api_version="v1", kind="OpenAPI")
        return self.connection.json("GET", path, asked=asked)

    def username(self) -> str:
        """Say who asks, as the API server knows them; everyone who is logged in may ask."""
        group = "authentication.k8s.io/v1"
        asked = Asked(verb="create", api_version=group, kind="SelfSubjectReview")
        body = {"apiVersion": group, "kind": "SelfSubjectReview"}
        path = f"/apis/{group}/selfsubjectreviews"
        found = self.connection.json("POST", path, asked=asked, body=body)
        return str(found["status"]["userInfo"]["username"])

    def _discover(self, api_version: str) -> list[Manifest]:
        asked = Asked(verb="get", api_version=api_version, kind="APIResourceList")
        try:
            found = self.connection.json("GET", _group_path(api_version), asked=asked)
        except (NotFound, NotInstalled):
            return []
        return [each for each in found["resources"] if "/" not in each["name"]]

    def _path(self, api_version: str, kind: str, *, namespace: str | None, name: str = "") -> str:
        """Give the path of a collection, or of one object; `namespace` None is all of them."""
        plural = self._plurals.get((api_version, kind))
        if plural is None:
            found = self._discover(api_version)
            plural = next((each["name"] for each in found if each["kind"] == kind), "")
            if not plural:
                raise answers.not_installed(api_version, kind)
            self._plurals[(api_version, kind)] = plural
        inside = f"/namespaces/{quote(namespace)}" if namespace else ""
        one = f"/{quote(name)}" if name else ""
        return f"{_group_path(api_version)}{inside}/{plural}{one}"

    # Objects

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object and give it as the server has it now."""
        asked = self._asked("create", manifest)
        path = self._path(asked.api_version, asked.kind, namespace=asked.namespace)
        query = {"fieldManager": FIELD_MANAGER} | _dry(dry_run)
        return self.connection.json("POST", path, asked=asked, query=query, body=manifest)

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create or change an object by server-side apply; what was ours before is ours again."""
        asked = self._asked("apply", manifest)
        path = self._path(asked.api_version, asked.kind, namespace=asked.namespace, name=asked.name)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"} | _dry(dry_run)
        return self.connection.json(
            "PATCH",
            path,
            asked=asked,
            query=query,
            body=manifest,
            content_type="application/apply-patch+yaml",  # JSON is YAML
        )

    def patch(
        self, api_version: str, kind: str, name: str, merge: Manifest, *, namespace: str = ""
    ) -> Manifest:
        """Merge `merge` into an object (JSON merge patch)."""
        namespace = namespace or self.namespace
        return self.connection.json(
            "PATCH",
            self._path(api_version, kind, namespace=namespace, name=name),
            asked=Asked(
                verb="patch", api_version=api_version, kind=kind, name=name, namespace=namespace
            ),
            body=merge,
            content_type="application/merge-patch+json",
        )

    def edit(self, found: Manifest, operations: JSONPatch, *, dry_run: bool = False) -> Manifest:
        """Edit an object as it was read (JSON Patch); a conflict where it has changed since."""
        asked = self._asked("patch", found)
        path = self._path(asked.api_version, asked.kind, namespace=asked.namespace, name=asked.name)
        version = found["metadata"].get("resourceVersion")
        as_read = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return self.connection.json(
            "PATCH",
            path,
            asked=asked,
            query={"fieldManager": FIELD_MANAGER} | _dry(dry_run),
            body=[as_read, *operations] if version else operations,
            content_type="application/json-patch+json",
        )

    def get(
        self, api_version: str, kind: str, name: str, *, namespace: str | None = ""
    ) -> Manifest:
        """Get one object; `namespace` None: it is in none. Raise `NotFound` where there is none."""
        inside = self.namespace if namespace == "" else namespace
        asked = Asked(
            verb="get", api_version=api_version, kind=kind, name=name, namespace=inside or ""
        )
        path = self._path(api_version, kind, namespace=inside, name=name)
        return self.connection.json("GET", path, asked=asked)

    def find_all(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = "",
        labels: str = "",
        fields: str = "",
    ) -> list[Manifest]:
        """List objects; `namespace` None is every namespace, empty is ours."""
        inside = self.namespace if namespace == "" else namespace
        asked = Asked(verb="list", api_version=api_version, kind=kind, namespace=inside or "")
        path = self._path(api_version, kind, namespace=inside)
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE)}
        found: list[Manifest] = []
        while True:
            page = self.connection.json("GET", path, asked=asked, query=query)
            # The items of a list say neither their kind nor their version.
            found += [{"apiVersion": api_version, "kind": kind} | each for each in page["items"]]
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return found

    def delete(self, found: Manifest, *, dry_run: bool = False) -> None:
        """Delete an object in the foreground: what it owns goes first, then itself."""
        asked = self._asked("delete", found)
        path = self._path(asked.api_version, asked.kind, namespace=asked.namespace, name=asked.name)
        body: Manifest = {"propagationPolicy": "Foreground"}
        if uid := found["metadata"].get("uid"):  # never a new object of the same name
            body["preconditions"] = {"uid": uid}
        if dry_run:  # in the body: a DELETE that has one ignores its query
            body["dryRun"] = ["All"]
        self.connection.json("DELETE", path, asked=asked, body=body)

    def wait_until_gone(self, found: Manifest, *, timeout_seconds: float) -> None:
        """Wait until a deleted object is gone, and what it owned with it."""
        asked = self._asked("get", found)
        until = time.monotonic() + timeout_seconds
        pause = 0.1
        while time.monotonic() < until:
            try:
                now = self.get(asked.api_version, asked.kind, asked.name, namespace=asked.namespace)
            except NotFound:
                return
            if now["metadata"].get("uid") != found["metadata"].get("uid"):
                return
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        raise TimedOut(
            f"{asked.what} is still being deleted after {timeout_seconds:g} seconds",
            hint=f"what holds it? try: kubectl get {asked.kind.lower()} {asked.name} "
            f"-n {asked.namespace} -o jsonpath={{.metadata.finalizers}}",
        )

    def watch(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = "",
        labels: str = "",
        timeout_seconds: float = 60.0,
    ) -> Iterator[Event]:
        """Give what is there and then what changes, until the time is over."""
        inside = self.namespace if namespace == "" else namespace
        asked = Asked(verb="watch", api_version=api_version, kind=kind, namespace=inside or "")
        query = {
            "watch": "true",
            "labelSelector": labels,
            "timeoutSeconds": str(max(1, round(timeout_seconds))),
        }
        path = self._path(api_version, kind, namespace=inside)
        for line in self.connection.lines(path, asked=asked, query=query):
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                yield Event(type=event["type"], object=event["object"])

    def logs(
        self,
        pod: str,
        *,
        namespace: str = "",
        container: str = "",
        follow: bool = False,
        tail: int | None = None,
    ) -> Iterator[bytes]:
        """Give the lines of a container's log, each with its line end."""
        namespace = namespace or self.namespace
        asked = Asked(
            verb=answers.READ_LOGS, api_version="v1", kind="Pod", name=pod, namespace=namespace
        )
        query = {
            "container": container,
            "follow": "true" if follow else "",
            "tailLines": "" if tail is None else str(tail),
        }
        path = self._path("v1", "Pod", namespace=namespace, name=pod) + "/log"
        yield from self.connection.lines(path, asked=asked, query=query, endless=follow)

    def _asked(self, verb: str, manifest: Manifest) -> Asked:
        metadata = manifest["metadata"]
        return Asked(
            verb=verb,
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            name=metadata.get("name", ""),
            namespace=metadata.get("namespace") or self.namespace,
        )


def connect(target: Target, warn: Callable[[str], None] | None = None) -> Cluster:
    """Read the kubeconfig and be ready to ask; `warn` is told what the server warns of."""
    connection, namespace = open_connection(target, warn)
    return Cluster(
        connection=connection, namespace=target.namespace or namespace, flags=target.flags
    )


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
