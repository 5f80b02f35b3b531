"""What the tests of the checks share: one guard over a few objects of the cluster's."""

from __future__ import annotations

from typing import Any

import yaml

from policies import engine, load
from policies.model import Decision, Facts, PolicySet, Request

CLUSTER = """
kind: Accelerator
metadata: {name: big}
spec: {resource: nvidia.com/gpu, nodeSelector: {kind: big}, maxPerPod: 2}
---
kind: Accelerator
metadata: {name: plain}
spec: {resource: nvidia.com/gpu}
---
kind: Accelerator
metadata: {name: claimed}
spec: {deviceClassName: gpu.example.com, maxPerPod: 4}
---
kind: DataSource
metadata: {name: imagenet}
spec: {pvc: imagenet-claim}
---
kind: DataSource
metadata: {name: node}
spec: {hostPath: /mnt/node}
"""


def policies(checks: str, more: str = "", *, match: str = "{}", enforcement: str = "Deny") -> Any:
    """Make a set of the guard `g` with these checks, the cluster's objects and `more`."""
    spec = f"{{match: {match}, enforcement: {enforcement}, checks: {checks}}}"
    text = f"{{kind: GuardPolicy, metadata: {{name: g}}, spec: {spec}}}\n---{CLUSTER}"
    text += f"\n---\n{more}" if more else ""
    documents = [
        load.Document(file="p.yaml", number=number, value=value)
        for number, value in enumerate(yaml.safe_load_all(text), 1)
    ]
    return load.policy_set(documents)


def container(name: str = "main", **resources: Any) -> dict[str, Any]:
    return {"name": name, "image": "i:1", "resources": resources}


def pod(*containers: dict[str, Any], intents: dict[str, str] | None = None, **spec: Any) -> Any:
    annotations = {f"kubectl-ml.io/{key}": value for key, value in (intents or {}).items()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "annotations": annotations},
        "spec": {"containers": list(containers or [container()]), **spec},
    }


def job(made: Any, **intents: str) -> Any:
    annotations = {f"kubectl-ml.io/{key}": value for key, value in intents.items()}
    template = {"metadata": made["metadata"], "spec": {"restartPolicy": "Never", **made["spec"]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "annotations": annotations},
        "spec": {"template": template},
    }


def review(
    known: PolicySet, obj: Any, *, old: Any = None, namespace: str = "ml", **facts: Any
) -> Decision:
    group, _, version = obj["apiVersion"].rpartition("/")
    asked = Request(
        operation="CREATE" if old is None else "UPDATE",
        group=group,
        version=version,
        kind=obj["kind"],
        namespace=namespace,
        object=obj,
        old_object=old,
    )
    return engine.review(asked, known, Facts(**facts))


def said(known: PolicySet, obj: Any, **more: Any) -> list[str]:
    """Give what the guard refuses in an object."""
    found = review(known, obj, **more).violations
    return [one.message for one in found if one.policy == "g"]


def twice(known: PolicySet, obj: Any, **more: Any) -> list[str]:
    """Do the same as the API server does: what was made of the object comes again."""
    first = review(known, obj, **more)
    again = said(known, first.object, **more)
    assert again == [one.message for one in first.violations if one.policy == "g"]
    return again
