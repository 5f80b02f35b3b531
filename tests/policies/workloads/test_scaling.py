"""Which field of an object its Scale sets."""

from __future__ import annotations

import pytest

from policies.model import Manifest, PolicySet
from policies.workloads import catalogue, scaling
from tests import builders

OWN = """
kind: WorkloadKind
metadata: {name: fleets}
spec:
  group: example.com
  versions: [v1]
  kind: Fleet
  plural: fleets
  scale: true
  roles:
    - {name: leader, template: spec.leader}
    - {name: worker, template: spec.template, replicas: %s}
"""


def scaled_by(kind: str, policies: PolicySet) -> str:
    found = catalogue.of(policies).named(kind)
    assert found is not None
    return ".".join(map(str, scaling.path(found)))


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment.apps", "spec.replicas"),
        ("Rollout.argoproj.io", "spec.replicas"),
        ("LeaderWorkerSet.leaderworkerset.x-k8s.io", "spec.replicas"),
        ("SeldonDeployment.machinelearning.seldon.io", "spec.replicas"),
        ("AlluxioRuntime.data.fluid.io", "spec.replicas"),
        ("PyTorchJob.kubeflow.org", "spec.pytorchReplicaSpecs.Worker.replicas"),
        ("PaddleJob.kubeflow.org", "spec.paddleReplicaSpecs.Worker.replicas"),
        ("JAXJob.kubeflow.org", "spec.jaxReplicaSpecs.Worker.replicas"),
    ],
)
def test_what_the_catalogue_knows(kind: str, path: str) -> None:
    assert scaled_by(kind, builders.policies()) == path


@pytest.mark.parametrize(
    ("replicas", "path"),
    [
        ('"spec.size ?? 1"', "spec.size"),
        ("[spec.replicas, spec.size]", "spec.replicas"),
        ("[spec.size, 2]", "spec.size"),
        ("2", "spec.replicas"),
    ],
)
def test_a_kind_of_the_admins(replicas: str, path: str) -> None:
    assert scaled_by("Fleet.example.com", builders.policies(OWN % replicas)) == path


def test_all_else_stays_as_it_is() -> None:
    kind = catalogue.of(builders.policies()).named("JAXJob.kubeflow.org")
    assert kind is not None
    worker: Manifest = {"replicas": 2, "template": {"spec": {}}}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "JAXJob",
        "metadata": {"name": "one"},
        "spec": {"jaxReplicaSpecs": {"Worker": worker}},
    }

    def workers(count: int) -> Manifest:
        return {**job, "spec": {"jaxReplicaSpecs": {"Worker": {**worker, "replicas": count}}}}

    assert scaling.at(job, kind, 9) == workers(9)
    assert job["spec"] == {"jaxReplicaSpecs": {"Worker": worker}}
