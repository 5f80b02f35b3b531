"""
A JobSet (jobset.x-k8s.io): its controller makes the Job and the Service.

When a pod fails for good the whole set starts anew, up to `--retries` times, which is what
programs that train together need.
"""

from __future__ import annotations

from kubectl_ml.backends import trainer
from kubectl_ml.backends.backend import Backend, State
from kubectl_ml.training import TrainSpec
from policies.model import Manifest

CONTAINER = "trainer"
JOB = "node"


def objects(spec: TrainSpec) -> list[Manifest]:
    """Make the JobSet and the claims."""
    master = f"{spec.name}-{JOB}-0-0.{spec.name}"
    pod = trainer.template(
        spec,
        container_name=CONTAINER,
        env=trainer.rendezvous(spec, master=master, rank=trainer.COMPLETION_INDEX),
        restartPolicy="Never",
    )
    job = {
        "metadata": {"labels": trainer.labels(spec)},
        "spec": trainer.indexed(spec, pod, retries={"backoffLimit": 0}),
    }
    jobset = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": trainer.metadata(spec),
        "spec": {
            "network": {
                "enableDNSHostnames": True,
                "publishNotReadyAddresses": True,
                "subdomain": spec.name,
            },
            "failurePolicy": _failure_policy(spec),
            "replicatedJobs": [{"name": JOB, "replicas": 1, "template": job}],
        },
    }
    return [jobset, *trainer.claims(spec)]


def _failure_policy(spec: TrainSpec) -> Manifest:
    policy: Manifest = {"maxRestarts": spec.retries}
    if spec.max_seconds:  # more time is no remedy
        policy["rules"] = [
            {
                "name": "out-of-time",
                "action": "FailJobSet",
                "onJobFailureReasons": ["DeadlineExceeded"],
            }
        ]
    return policy


def state(found: Manifest) -> State:
    """Read how far a JobSet is."""
    jobs = found["spec"].get("replicatedJobs") or ()
    statuses = (found.get("status") or {}).get("replicatedJobsStatus") or ()
    return trainer.state(
        found,
        pods=sum(
            each.get("replicas", 1) * each["template"]["spec"].get("parallelism", 1)
            for each in jobs
        ),
        running=any(each.get("ready") for each in statuses),
        succeeded=("Completed",),
    )


BACKEND: Backend[TrainSpec] = Backend(
    name="jobset",
    api_version="jobset.x-k8s.io/v1alpha2",
    kind="JobSet",
    objects=objects,
    state=state,
)
