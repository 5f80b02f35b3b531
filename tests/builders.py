"""
Minimal valid objects to tweak, and the requests, facts and policies that reviews are made of.

    review(deployment(accelerator="a100:2"))
    review(pod(gpus=2), old=pod(accelerator="a100:2"))

Keywords that are intents become annotations, `shm="1Gi"` is `kubectl-ml.io/shm: 1Gi`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jsonpatch
import yaml

from policies import engine, load
from policies.model import Decision, Facts, Manifest, PolicySet, Request, User

PREFIX = "kubectl-ml.io/"
INJECTED = PREFIX + "injected"
NAMESPACE = "ml"


def intents(**values: str) -> dict[str, str]:
    """Write intents as annotations."""
    return {PREFIX + key: value for key, value in values.items()}


def container(name: str = "main", **members: Any) -> Manifest:
    return {"name": name, "image": "python:3.12", **members}


def pod(
    name: str = "bert",
    *,
    gpus: int = 0,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Manifest | None = None,
    spec: Mapping[str, Any] | None = None,
    **wanted: str,
) -> Manifest:
    """Build a pod; `spec` adds to or replaces members of its spec."""
    main = container()
    if gpus:
        main["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, labels, annotations, owner, wanted),
        "spec": {"containers": [main], **(spec or {})},
    }


def metadata(
    name: str,
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None,
    owner: Manifest | None,
    wanted: Mapping[str, str],
) -> Manifest:
    found: Manifest = {"name": name}
    if labels:
        found["labels"] = dict(labels)
    if annotations or wanted:
        found["annotations"] = {**(annotations or {}), **intents(**wanted)}
    if owner:
        found["ownerReferences"] = [owner]
    return found


def controlled_by(kind: str, api_version: str, name: str = "bert") -> Manifest:
    """Write an owner reference to a controller."""
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": "1", "controller": True}


def template_of(one: Manifest) -> Manifest:
    """Make a pod's template: without its name, kind and version."""
    found = {key: value for key, value in one["metadata"].items() if key != "name"}
    return {**({"metadata": found} if found else {}), "spec": one["spec"]}


def workload(
    kind: str,
    template: Manifest | None = None,
    *,
    name: str = "bert",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Manifest | None = None,
    **wanted: str,
) -> Manifest:
    """Build a workload of any kind around a pod, `kind` as in KINDS."""
    api_version, spec = KINDS[kind]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata(name, labels, annotations, owner, wanted),
        "spec": spec(copy.deepcopy(template or pod())),
    }


def deployment(template: Manifest | None = None, **parts: Any) -> Manifest:
    return workload("Deployment", template, **parts)


def job(template: Manifest | None = None, **parts: Any) -> Manifest:
    return workload("Job", template, **parts)


def _selected(one: Manifest) -> Manifest:
    return {"selector": {"matchLabels": {"app": "bert"}}, "template": template_of(one)}


def _job(one: Manifest) -> Manifest:
    found = template_of(one)
    return {"template": {**found, "spec": {"restartPolicy": "Never", **found["spec"]}}}


def _named(one: Manifest, name: str) -> Manifest:
    found = copy.deepcopy(one)
    found["spec"]["containers"][0]["name"] = name
    return found


def _service(one: Manifest) -> Manifest:
    return {"template": template_of(_named(one, "user-container"))}


def _inference(one: Manifest) -> Manifest:
    predictor = _named(one, "kserve-container")
    found = {key: value for key, value in predictor["metadata"].items() if key != "name"}
    return {
        "predictor": {**found, **predictor["spec"]},
        "transformer": {"containers": [container("kserve-container")]},
    }


def _pytorch(one: Manifest) -> Manifest:
    template = template_of(_named(one, "pytorch"))
    return {
        "pytorchReplicaSpecs": {
            "Master": {"replicas": 1, "template": template},
            "Worker": {"replicas": 2, "template": copy.deepcopy(template)},
        }
    }


def _mpi(one: Manifest) -> Manifest:
    return {
        "mpiReplicaSpecs": {
            "Launcher": {"replicas": 1, "template": {"spec": {"containers": [container("mpi")]}}},
            "Worker": {"replicas": 2, "template": template_of(one)},
        }
    }


def _train(_: Manifest) -> Manifest:
    return {"runtimeRef": {"name": "torch-distributed"}, "trainer": {"numNodes": 2}}


def _job_set(one: Manifest) -> Manifest:
    return {"replicatedJobs": [{"name": "workers", "replicas": 2, "template": {"spec": _job(one)}}]}


# kind: apiVersion, and what makes its spec of a pod
KINDS: dict[str, tuple[str, Callable[[Manifest], Manifest]]] = {
    "Deployment": ("apps/v1", _selected),
    "StatefulSet": ("apps/v1", _selected),
    "ReplicaSet": ("apps/v1", _selected),
    "DaemonSet": ("apps/v1", _selected),
    "Job": ("batch/v1", _job),
    "CronJob": (
        "batch/v1",
        lambda one: {"schedule": "0 3 * * *", "jobTemplate": {"spec": _job(one)}},
    ),
    "Service": ("serving.knative.dev/v1", _service),
    "InferenceService": ("serving.kserve.io/v1beta1", _inference),
    "PyTorchJob": ("kubeflow.org/v1", _pytorch),
    "MPIJob": ("kubeflow.org/v2beta1", _mpi),
    "TrainJob": ("trainer.kubeflow.org/v1alpha1", _train),
    "JobSet": ("jobset.x-k8s.io/v1alpha2", _job_set),
}


def request(
    obj: Any,
    *,
    old: Any = None,
    operation: str = "",
    namespace: str = NAMESPACE,
    user: User | None = None,
    subresource: str = "",
) -> Request:
    """Make the request that an API server would send: an UPDATE where there is an old object."""
    some = obj if isinstance(obj, dict) else {}
    group, _, version = str(some.get("apiVersion", "v1")).rpartition("/")
    return Request(
        operation=operation or ("CREATE" if old is None else "UPDATE"),
        group=group,
        version=version,
        kind=str(some.get("kind", "Pod")),
        namespace=namespace,
        name="bert",
        subresource=subresource,
        object=obj,
        old_object=old,
        user=user or User(),
    )


@lru_cache(maxsize=1)
def library() -> PolicySet:
    return load.library()


def documents(text: str) -> list[load.Document]:
    """Read policies from YAML; apiVersion may be left out."""
    found = [one for one in yaml.safe_load_all(text) if one]
    return [
        load.Document(
            file="policies.yaml",
            number=number,
            value={"apiVersion": "kubectl-ml.io/v1alpha1", **value},
        )
        for number, value in enumerate(found, 1)
    ]


@lru_cache(maxsize=256)
def policies(text: str = "", *, with_library: bool = True) -> PolicySet:
    """Make a policy set of YAML, over the library."""
    return load.policy_set(documents(text), base=library() if with_library else None)


def review(
    obj: Any,
    given: PolicySet | str = "",
    facts: Facts | None = None,
    *,
    stage: str = "admission",
    **parts: Any,
) -> Decision:
    """Review an object (at the stage `template`: render it) under the library and more policies."""
    found = policies(given) if isinstance(given, str) else given
    decide = engine.render if stage == "template" else engine.review
    return decide(request(obj, **parts), found, facts or Facts())


KUEUES = ("/spec/suspend", "/spec/runPolicy/suspend", "/spec/schedulingGates/")
KUEUES_GATE = {"name": "kueue.x-k8s.io/admission"}


def mutated(obj: Any, given: PolicySet | str = "", facts: Facts | None = None, **parts: Any) -> Any:
    """Give the object as the API server would store it: with the patch applied to it."""
    return applied(obj, review(obj, given, facts, **parts))


def applied(obj: Any, decision: Decision) -> Any:
    """Apply a decision's patch as the API server does, to an object that shares no parts."""
    return jsonpatch.apply_patch(json.loads(json.dumps(obj)), decision.patch, in_place=True)


def stripped(obj: Any, given: PolicySet | str = "", facts: Facts | None = None) -> Any:
    """Take out of an object what was injected."""
    found = policies(given) if isinstance(given, str) else given
    return engine.strip(request(obj), found, facts)


def plain(node: Any) -> Any:
    """Leave out nulls and what is empty, which say as much as what is absent."""
    if isinstance(node, dict):
        found = {key: plain(value) for key, value in node.items()}
        return {key: value for key, value in found.items() if value not in (None, {}, [])}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return node


def messages(decision: Decision) -> list[str]:
    """List the sentences that refuse an object."""
    return [one.message for one in decision.violations]


def at(node: Any, *steps: Any) -> Any:
    """Walk into an object; None where nothing is."""
    for step in steps:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def pods_of(obj: Manifest) -> dict[str, tuple[Manifest, Manifest]]:
    """Find the metadata and spec of every template of a workload that this module builds."""
    spec, kind = obj["spec"], obj["kind"]
    if kind == "Pod":
        return {"pod": (obj["metadata"], spec)}
    if kind == "InferenceService":
        return {role: (spec[role], spec[role]) for role in ("predictor", "transformer")}
    templates: dict[str, Manifest]
    if kind == "PyTorchJob":
        templates = _replicas(spec["pytorchReplicaSpecs"])
    elif kind == "MPIJob":
        templates = _replicas(spec["mpiReplicaSpecs"])
    elif kind == "CronJob":
        templates = {"pod": spec["jobTemplate"]["spec"]["template"]}
    elif kind == "TrainJob":
        templates = {"trainer": _trainer(spec)}
    elif kind == "JobSet":
        jobs = spec["replicatedJobs"]
        templates = {one["name"]: one["template"]["spec"]["template"] for one in jobs}
    else:
        templates = {"pod": spec["template"]}
    return {role: (one.get("metadata", {}), one.get("spec", {})) for role, one in templates.items()}


def _replicas(specs: Manifest) -> dict[str, Manifest]:
    return {role.lower(): one["template"] for role, one in specs.items()}


def _trainer(spec: Manifest) -> Manifest:
    for patch in spec.get("runtimePatches", ()):
        if patch["manager"] == "kubectl-ml.io/intents":
            jobs = at(patch, "trainingRuntimeSpec", "template", "spec", "replicatedJobs") or []
            return at(jobs, 0, "template", "spec", "template") or {}
    return {}


def but_kueues(obj: Any) -> Any:
    """Leave out what is Kueue's to change from CREATE on: `suspend`, its gate, claims on them."""
    found = json.loads(json.dumps(obj))
    spec = found.get("spec") or {}
    spec.pop("suspend", None)
    if isinstance(spec.get("runPolicy"), dict):
        spec["runPolicy"].pop("suspend", None)
    if not spec.get("runPolicy"):
        spec.pop("runPolicy", None)
    gates = [one for one in spec.pop("schedulingGates", ()) if one != KUEUES_GATE]
    if gates:
        spec["schedulingGates"] = gates
    annotations = found["metadata"].get("annotations") or {}
    if INJECTED in annotations:
        record = json.loads(annotations[INJECTED])
        for name, entries in [*record["policies"].items()]:
            kept = [one for one in entries if not one[0].startswith(KUEUES)]
            record["policies"][name] = kept
            if entries and not kept:
                del record["policies"][name]
        held = str([*record["policies"].values()]) + "'/metadata/annotations/"
        was = [one for one in record.pop("was", ()) if f"'{one[0]}" in held]
        record |= {"was": was} if was else {}
        annotations[INJECTED] = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return found
