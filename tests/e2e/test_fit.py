"""What we inject fits a namespace that is restricted, has bounds, and demands requests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENABLED, Installed

POLICIES = """
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: site}
spec:
  inject:
    initContainers: [{name: warm, image: registry.example.com/warm:1}]
    sidecars:
    - container: {name: agent, image: registry.example.com/agent:1}
    - container: {name: proxy, image: registry.example.com/proxy:1, restartPolicy: Always}
    terminationGracePeriodSeconds: 90
"""
WANTED = {
    "mounts": "s3://datasets/imagenet:/data, scratch://1Gi:/tmp/work",
    "sidecars": "logs",
    "profile": "threads,otel",
    "dapr": "true",
}
BOUNDS = {
    "metadata": {"name": "bounds"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "min": {"cpu": "5m", "memory": "16Mi"},
                "max": {"cpu": "4", "memory": "8Gi"},
            }
        ]
    },
}
AMOUNTS = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
QUOTA = {
    "metadata": {"name": "budget"},
    "spec": {"hard": {name: "64Gi" if "memory" in name else "32" for name in AMOUNTS}},
}


@pytest.fixture
def strict(installed: Installed) -> Iterator[Place]:
    """Give a namespace that admits nothing without requests, limits and the least rights."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with acting.place(installed, {**ENABLED, **labels}) as found:
        found.admin.create(found.path("LimitRange"), BOUNDS)
        quotas = f"/api/v1/namespaces/{found.name}/resourcequotas"
        found.admin.create(quotas, QUOTA)
        waiting.until(
            lambda: found.admin.get(f"{quotas}/budget").get("status", {}).get("used"),
            what="the quota to be in force",
        )
        yield found


def restricted(**members: Any) -> Manifest:
    """Write a pod spec that such a namespace takes."""
    main = acting.container(
        resources={
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        },
        securityContext={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    return acting.spec(main, **members)


@pytest.mark.parametrize(
    ("workload", "members"),
    [
        pytest.param(acting.pod, {}, id="pod"),
        pytest.param(acting.deployment, {}, id="deployment"),
        pytest.param(acting.job, {"restartPolicy": "Never"}, id="job"),
    ],
)
def test_injected_containers_fit(
    installed: Installed, strict: Place, workload: Callable[..., Manifest], members: Any
):
    with installed.policies(POLICIES):
        strict.apply(workload("fits", restricted(**members), **WANTED))

        made = strict.pod()

    found = [*made["spec"]["containers"], *made["spec"]["initContainers"]]
    names = {one["name"] for one in found}
    assert {"main", "agent", "proxy", "logs", "warm"} <= names
    assert len(names) == 6  # the sixth fetches
    for one in found:
        assert one["resources"].keys() == {"requests", "limits"}, one["name"]
