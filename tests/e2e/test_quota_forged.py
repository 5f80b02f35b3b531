"""Quotas against who tries to get more: owners that are none of one's own, and pods left behind."""

import time
from decimal import Decimal
from typing import Any

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import ENFORCED, Installed
from tests.e2e.test_policies import applied
from tests.e2e.test_quota import (
    GPUS,
    NOWHERE,
    in_force,
    job,
    quota,
    replicas,
    settles,
    summed_up,
    team,
)

__all__ = ["replicas", "team"]  # fixtures

CONTROL_PLANE = "quota"
CREATOR = "kubectl-ml.io/creator"


def owned(obj: Manifest, owner: Any) -> Manifest:
    """Write an owner into an object, as its controller would."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def pod(name: str, gpus: int, **metadata: Any) -> Manifest:
    """Write a pod that asks for devices itself: intents aren't carried where there's an owner."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {
            "nodeSelector": NOWHERE,
            "containers": [
                {
                    "name": "main",
                    "image": "example.com/main",
                    "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
                }
            ],
        },
    }


def lasting(name: str, gpus: int) -> Manifest:
    """
    Write a pod that runs on after its deletion.

    It says its node: of pods without one that are being deleted, the pod garbage collector says
    each 20 s that they failed, and those ask for nothing.
    """
    made = pod(name, gpus, finalizers=["example.com/runs"])
    made["spec"]["nodeName"] = "elsewhere"
    return made


def in_use(replicas: Installed, group: str, name: str = "gpus") -> Decimal:
    return Decimal(summed_up(replicas, group, name).get("used", {}).get(GPUS, "0"))


def test_a_pod_that_leaves_its_owner_counts_beside_it(replicas: Installed, team: Place) -> None:
    """A ReplicaSet lets a pod go whose label was changed, and makes another in its place."""
    deployment = acting.deployment(accelerator="a100:1", replicas=4)
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    with applied(replicas, quota(budget={GPUS: 5})):
        in_force(replicas)
        team.apply(deployment)
        settles(replicas, team, 4)
        for one in team.pods(4):
            team.kubectl("label", "--overwrite", "pod", one["metadata"]["name"], "app=other")
        time.sleep(5)
        assert len(team.all("Pod")) == 5
        settles(replicas, team, 5)

        free = next(one for one in team.all("Pod") if "ownerReferences" in one["metadata"])
        name = free["metadata"]["name"]
        body = {"metadata": {"ownerReferences": None}}
        refused = team.admin.request(
            "PATCH", team.path("Pod", name), body, content_type="application/merge-patch+json"
        )
        assert refused.status == 403
        assert f"{name} asks for 1, 1 too many" in refused.body["message"]


def test_what_is_orphaned_with_its_owner_deleted_counts_as_before(
    replicas: Installed, team: Place
) -> None:
    deployment = acting.deployment(accelerator="a100:1", replicas=4)
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(deployment)
        team.pods(4)
        settles(replicas, team, 4)
        team.kubectl("delete", "deployment", "many", "--cascade=orphan")
        waiting.until(lambda: not team.all("Deployment"), what="the Deployment to go")
        assert len(team.pods(4)) == 4
        settles(replicas, team, 4)
        refused = team.try_apply(job("more"))
        assert "1 too many" in refused.stderr


def test_a_pod_that_is_being_deleted_counts_until_it_is_gone(
    replicas: Installed, team: Place
) -> None:
    """It may run for as long as its grace period, whomever it names as its owner."""
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        deployment = acting.deployment(accelerator="a100:1")
        deployment["spec"]["strategy"] = {"type": "Recreate"}
        team.apply(deployment)
        settles(replicas, team, 1)
        owner = deployment | team.get("Deployment", "many")
        team.apply(owned(lasting("lasting", 3), owner))
        try:
            settles(replicas, team, 4)
            team.kubectl("delete", "pod", "lasting", "--wait=false")
            time.sleep(2)
            assert in_use(replicas, team.name) == 4
            assert "3 too many" in team.try_apply(pod("another", 3)).stderr
        finally:
            team.admin.patch(team.path("Pod", "lasting"), {"metadata": {"finalizers": None}})
        settles(replicas, team, 1)


def test_an_owner_in_another_namespace_pays_for_nothing(replicas: Installed, team: Place) -> None:
    with applied(replicas, quota(budget={GPUS: 4})), acting.place(replicas, ENFORCED) as other:
        in_force(replicas)
        other.apply(job("theirs", 2))
        settles(replicas, other, 2)
        theirs = {"apiVersion": "batch/v1", "kind": "Job", **other.get("Job", "theirs")}
        team.apply(owned(lasting("mine", 4), theirs))  # it is collected as garbage at once
        try:
            settles(replicas, team, 4)
            settles(replicas, other, 2)
        finally:
            team.admin.patch(team.path("Pod", "mine"), {"metadata": {"finalizers": None}})


def test_an_owner_hides_nobody_who_made_it(replicas: Installed, team: Place) -> None:
    by_user = quota(groupBy="user", budget={GPUS: 4})
    by_user["spec"]["match"] = {"namespaces": {"names": [team.name]}}
    with applied(replicas, by_user):
        in_force(replicas)
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}}
        team.apply(config_map)
        owner = config_map | team.user.get(f"/api/v1/namespaces/{team.name}/configmaps/any")
        forged = owned(pod("forged", 4, annotations={CREATOR: "somebody-else"}), owner)
        team.apply(forged)
        assert team.get("Pod", "forged")["metadata"]["annotations"][CREATOR] == acting.USER
        for number in range(2):
            refused = team.try_apply(owned(pod(f"p{number}", 1), owner))
            assert f"user {acting.USER} has 4 of 4 a100 in use (forged 4)" in refused.stderr
        team.kubectl("annotate", "pod/forged", f"{CREATOR}=somebody-else", "--overwrite")
        assert team.get("Pod", "forged")["metadata"]["annotations"][CREATOR] == acting.USER


def test_who_names_anothers_workload_as_its_owner_pays_herself(
    replicas: Installed, team: Place
) -> None:
    by_user = quota(groupBy="user", budget={GPUS: 4})
    by_user["spec"]["match"] = {"namespaces": {"names": [team.name]}}
    with applied(replicas, by_user):
        in_force(replicas)
        deployment = acting.deployment("theirs", accelerator="a100:1")
        deployment["spec"]["strategy"] = {"type": "Recreate"}
        assert team.admin.request("POST", team.path("Deployment"), deployment).ok
        team.pods(1)
        owner = deployment | team.get("Deployment", "theirs")
        team.apply(owned(pod("forged", 4), owner))
        waiting.until(lambda: in_use(replicas, acting.USER) == 4, what="it to count for its maker")
        refused = team.try_apply(owned(pod("more", 1), owner))
        assert f"user {acting.USER} has 4 of 4 a100 in use (forged 4)" in refused.stderr
        assert in_use(replicas, "kubernetes-admin") == 1
