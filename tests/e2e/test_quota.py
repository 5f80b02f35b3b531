"""Quotas that can't be raced: bursts over several replicas, and what they add up to."""

import concurrent.futures
import contextlib
import functools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Answer, Client, Manifest
from tests.e2e.controlplane.cluster import ControlPlane
from tests.e2e.installed import ENFORCED, Installed
from tests.e2e.test_policies import GROUP, applied, own

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load
GPUS = "accelerators.a100"
LEDGERS = "/api/v1/namespaces/kubectl-ml/configmaps?labelSelector=kubectl-ml.io/ledger"
NOWHERE = {"example.com/there": "not"}  # so that no Job is done before it was looked at
AT_ONCE = 50  # of the 200
CHAOS_SECONDS = 120


def quota(name: str = "gpus", **spec: Any) -> Manifest:
    return own("QuotaPolicy", name, {"groupBy": "namespace", **spec})


def job(name: str, gpus: int = 1, **spec: Any) -> Manifest:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": acting.intents(accelerator=f"a100:{gpus}")},
        "spec": {
            "parallelism": 1,  # without completions, which would bound it
            **spec,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "nodeSelector": NOWHERE,
                    "containers": [{"name": "main", "image": "example.com/main"}],
                }
            },
        },
    }


@pytest.fixture(scope="module")
def replicas(webhook_installed: Installed) -> Iterator[Installed]:
    """Run three processes behind one port."""
    if webhook_installed.is_running:
        webhook_installed.stop()
    webhook_installed.start("--workers=3")
    yield webhook_installed
    webhook_installed.stop()


@pytest.fixture
def team(replicas: Installed) -> Iterator[Place]:
    """Give a namespace where quotas hold even while a process of the webhook is down."""
    with acting.place(replicas, ENFORCED) as place:
        yield place


@pytest.fixture
def worker(team: Place) -> Client:
    """Give a service account that may work in the namespace: it waits in line like any other."""
    account = team.control_plane.as_service_account(team.name, "worker")
    team.admin.create(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{team.name}/rolebindings",
        {
            "metadata": {"name": "worker"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "e2e-team",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": team.name}],
        },
    )
    waiting.until(lambda: account.request("GET", team.path("Job")).ok, what="its rights")
    return account


def in_force(replicas: Installed) -> None:
    """
    Wait until all processes count by the policy.

    They learn of it within a second, and look at all that is there before they answer: with the
    hundreds of objects that a test before left, that takes a slow machine seconds.
    """
    time.sleep(1)
    admin = replicas.control_plane.admin
    ask = f"/apis/batch/v1/namespaces/{_for_asking(replicas.control_plane)}/jobs?dryRun=All"

    def counted() -> bool:
        """Ask them all: what comes at once comes by several connections."""
        answers = at_once([lambda: admin.request("POST", ask, job("asks"))] * 24)
        return not any("try again" in str(one.body) for one in answers)

    waiting.until(counted, what="all processes to count by the policy")


@functools.cache
def _for_asking(control_plane: ControlPlane) -> str:
    """Give a namespace where nothing is ever made."""
    return control_plane.add_namespace("asking", labels=ENFORCED)


def at_once(calls: list[Callable[[], Answer]], threads: int = AT_ONCE) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def creates(client: Client, place: Place, jobs: list[Manifest]) -> list[Callable[[], Answer]]:
    path = place.path("Job")
    return [lambda one=one: client.request("POST", path, one) for one in jobs]  # type: ignore[misc]


def devices(place: Place) -> int:
    """Count what the Jobs that are there ask for."""
    total = 0
    for one in place.admin.get(place.path("Job"))["items"]:
        if any(it["type"] in ("Complete", "Failed") for it in one["status"].get("conditions", ())):
            continue
        if one["spec"].get("suspend"):
            continue
        asked = one["metadata"]["annotations"]["kubectl-ml.io/accelerator"].partition(":")[2]
        total += int(asked) * one["spec"].get("parallelism", 1)
    return total


def summed_up(replicas: Installed, group: str, name: str = "gpus") -> dict[str, Any]:
    status = replicas.control_plane.admin.get(f"{GROUP}/quotapolicies/{name}").get("status", {})
    found = [one for one in status.get("groups", ()) if one["group"] == group]
    return found[0] if found else {}


def settles(replicas: Installed, place: Place, used: int) -> None:
    """Wait until the policy's status says what is in use, and that nothing is reserved."""

    def settled() -> bool:
        found = summed_up(replicas, place.name)
        in_use = Decimal(found.get("used", {}).get(GPUS, "0"))
        return in_use == used and not found.get("reserved")

    waiting.until(
        settled,
        what=f"{used} in use in {place.name}: {summed_up(replicas, place.name)}",
        timeout_seconds=100,
    )


# --- one at a time -----------------------------------------------------------------------------


def test_what_is_over_the_budget_is_refused_with_who_holds_what(
    replicas: Installed, team: Place
) -> None:
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(job("one", 3))
        settles(replicas, team, 3)
        refused = team.try_apply(job("two", 2))
        assert (
            f"denied the request: gpus: namespace {team.name} has 3 of 4 a100 in use (one 3); "
            "two asks for 2, 1 too many\n"
        ) in refused.stderr
        team.apply(job("two", 1))


def test_a_dry_run_is_checked_and_reserves_nothing(replicas: Installed, team: Place) -> None:
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        for _ in range(3):
            team.kubectl("create", "--dry-run=server", "-f", "-", stdin=job("one", 3))
        refused = team.try_kubectl("create", "--dry-run=server", "-f", "-", stdin=job("one", 5))
        assert "one asks for 5, 1 too many" in refused.stderr
        team.apply(job("two", 4))


def test_what_is_replaced_makes_room_for_itself(replicas: Installed, team: Place) -> None:
    """`kubectl replace --force` deletes and creates, faster than any watch tells of it."""
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        for one in (job("one", 4), acting.pod("two", accelerator="a100:4")):
            team.apply(one)
            for _ in range(5):
                team.kubectl("replace", "--force", "-f", "-", stdin=acting.listed(one))
            team.kubectl("delete", "-f", "-", stdin=acting.listed(one))


def test_what_ends_goes_or_is_suspended_gives_back(replicas: Installed, team: Place) -> None:
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(job("one", 2, parallelism=2))
        settles(replicas, team, 4)
        team.kubectl("patch", "job", "one", "-p", '{"spec":{"suspend":true}}')
        settles(replicas, team, 0)
        team.apply(job("two", 4))
        settles(replicas, team, 4)
        resumed = team.try_kubectl("patch", "job", "one", "-p", '{"spec":{"suspend":false}}')
        assert "one asks for 4, 4 too many" in resumed.stderr
        team.kubectl("delete", "job", "two")
        settles(replicas, team, 0)
        team.kubectl("patch", "job", "one", "-p", '{"spec":{"suspend":false}}')
        settles(replicas, team, 4)


def test_scaling_up_counts_and_a_rollout_stays_within_what_was_counted(
    replicas: Installed, team: Place
) -> None:
    deployment = acting.deployment(accelerator="a100:1", replicas=4)
    with applied(replicas, quota(budget={GPUS: 5})):
        in_force(replicas)
        team.apply(deployment)
        settles(replicas, team, 5)
        team.pods(4)
        refused = team.try_kubectl("scale", "deployment", "many", "--replicas=5")
        assert "many asks for 2 more, 2 too many; 2 of them for a rolling update" in refused.stderr
        see = refused.stderr.splitlines()[-1].partition("see: kubectl ")[2]
        assert see == "ml explain deployments.apps/many"
        assert team.kubectl(*see.split()).startswith(f"Deployment.apps/{team.name}/many\n")
        team.kubectl("set", "env", "deployment/many", "A=B")
        team.kubectl("rollout", "status", "deployment/many", "--timeout=60s")
        team.kubectl("scale", "deployment", "many", "--replicas=2")
        settles(replicas, team, 3)


def test_a_pod_with_a_forged_owner_gains_nothing(replicas: Installed, team: Place) -> None:
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(job("real", 3))
        uid = team.get("Job", "real")["metadata"]["uid"]
        forged = acting.pod("forged", accelerator="a100:2")
        forged["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": "real",
                "uid": uid,
                "controller": True,
            }
        ]
        refused = team.try_apply(forged)
        assert "forged asks for 2, 1 too many" in refused.stderr


def test_a_pod_makes_no_room_for_what_names_it_as_its_owner(
    replicas: Installed, team: Place
) -> None:
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(acting.pod("first", accelerator="a100:2"))
        owner = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "first",
            "uid": team.get("Pod", "first")["metadata"]["uid"],
            "controller": True,
        }
        second = acting.pod("second", accelerator="a100:2")
        second["metadata"]["ownerReferences"] = [owner]
        team.apply(second)
        settles(replicas, team, 4)
        refused = team.try_apply(acting.pod("third", accelerator="a100:1"))
        assert "has 4 of 4 a100 in use (first 4); third asks for 1, 1 too many" in refused.stderr


def test_a_resize_in_place_counts(replicas: Installed, team: Place) -> None:
    pod = acting.pod("resized")
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    pod["spec"]["nodeSelector"] = NOWHERE  # the nodes here are old to the API server: no resize
    with applied(replicas, quota(budget={"cpu": 2})):
        in_force(replicas)
        team.apply(pod)
        path = f"{team.path('Pod')}/resized"
        name = pod["spec"]["containers"][0]["name"]

        def resized(cpu: str) -> Answer:
            containers = [{"name": name, "resources": {"requests": {"cpu": cpu}}}]
            return team.admin.request(
                "PATCH",
                f"{path}/resize",
                {"spec": {"containers": containers}},
                content_type="application/strategic-merge-patch+json",
            )

        def uses(cpu: str) -> None:
            waiting.until(
                lambda: summed_up(replicas, team.name).get("used") == {"cpu": cpu},
                what=f"{cpu} cpu in use: {summed_up(replicas, team.name)}",
            )

        uses("1")
        refused = resized("3")
        sentence = (
            f"gpus: namespace {team.name} has 1 of 2 cpu in use (resized 1); "
            "resized asks for 2 more, 1 too much\n"
        )
        assert refused.status == 403
        assert sentence in refused.body["message"]
        assert resized("2").ok
        uses("2")
        assert resized("500m").ok
        uses("500m")


def test_what_was_there_before_the_policy_counts(replicas: Installed, team: Place) -> None:
    team.apply(job("early", 3))
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        refused = team.try_apply(job("late", 2))
        assert "has 3 of 4 a100 in use (early 3); late asks for 2, 1 too many" in refused.stderr


def test_a_peak_without_bound_is_refused_with_the_field_to_set(
    replicas: Installed, team: Place
) -> None:
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "often", "annotations": acting.intents(accelerator="a100:1")},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job("any")["spec"]}},
    }
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        refused = team.try_apply(cron_job)
        assert (
            "gpus: often asks for a100 without an upper bound; set spec.concurrencyPolicy to Forbid"
        ) in refused.stderr
        cron_job["spec"]["concurrencyPolicy"] = "Forbid"
        team.apply(cron_job)
        settles(replicas, team, 1)


def test_one_refusal_leaves_nothing_reserved_in_the_others(
    replicas: Installed, team: Place
) -> None:
    wide = quota("a-wide", budget={GPUS: 100})
    with applied(replicas, wide, quota(budget={GPUS: 2})):
        in_force(replicas)
        refused = team.try_apply(job("big", 3))
        assert "gpus: namespace" in refused.stderr
        reserved = [
            one["data"]["ledger"]
            for one in replicas.control_plane.admin.get(LEDGERS)["items"]
            if '"a-wide"' in one["data"]["ledger"] and team.name in one["data"]["ledger"]
        ]
        assert ['"h":[]' in one for one in reserved] == [True]


def test_a_lost_or_edited_ledger_is_counted_anew(replicas: Installed, team: Place) -> None:
    admin = replicas.control_plane.admin
    with applied(replicas, quota(budget={GPUS: 4})):
        in_force(replicas)
        team.apply(job("one", 3))
        settles(replicas, team, 3)
        for one in admin.get(LEDGERS)["items"]:
            admin.delete(f"/api/v1/namespaces/kubectl-ml/configmaps/{one['metadata']['name']}")
        assert "1 too many" in team.try_apply(job("two", 2)).stderr
        for one in admin.get(LEDGERS)["items"]:
            name = one["metadata"]["name"]
            admin.patch(
                f"/api/v1/namespaces/kubectl-ml/configmaps/{name}", {"data": {"ledger": "{}"}}
            )
        assert "1 too many" in team.try_apply(job("two", 2)).stderr
        team.apply(job("three", 1))


# --- many at once ------------------------------------------------------------------------------


def test_a_burst_is_admitted_exactly_to_the_budget(
    replicas: Installed, team: Place, worker: Client
) -> None:
    with applied(replicas, quota(budget={GPUS: 50})):
        in_force(replicas)
        began = time.monotonic()
        answers = at_once(creates(worker, team, [job(f"j{n}") for n in range(200)]), threads=200)
        seconds = time.monotonic() - began
        said = Counter(one.status for one in answers)
        refusals = [one.body["message"] for one in answers if not one.ok]
        assert said == {201: 50, 403: 150}, refusals[:3]
        assert [one for one in refusals if "1 too many" not in one] == []
        assert [one for one in refusals if "try again" in one] == []
        assert devices(team) == 50
        settles(replicas, team, 50)
        print(f"200 creates in {seconds:.1f} s")
        ledgers = replicas.control_plane.admin.get(LEDGERS)["items"]
        assert max(len(one["data"]["ledger"]) for one in ledgers) < 4096


def test_mixed_sizes_never_go_over_and_leave_less_than_what_was_refused(
    replicas: Installed, team: Place, worker: Client
) -> None:
    sizes = [random.Random(7).choice([1, 2, 3, 5, 8]) for _ in range(120)]  # noqa: S311 -- a test
    with applied(replicas, quota(budget={GPUS: 64})):
        in_force(replicas)
        jobs = [job(f"j{n}", size) for n, size in enumerate(sizes)]
        answers = at_once(creates(worker, team, jobs))
        refused = [size for size, one in zip(sizes, answers, strict=True) if not one.ok]
        used = devices(team)
        assert used <= 64
        assert 64 - used < min(refused)
        settles(replicas, team, used)


def test_the_same_object_created_twice_at_once_counts_once(
    replicas: Installed, team: Place, worker: Client
) -> None:
    with applied(replicas, quota(budget={GPUS: 100})):
        in_force(replicas)
        answers = at_once(creates(worker, team, [job("same", 2)] * 10))
        assert Counter(one.status for one in answers) == {201: 1, 409: 9}
        settles(replicas, team, 2)


def test_whatever_happens_it_adds_up(replicas: Installed, team: Place, worker: Client) -> None:
    """Create, delete, scale, suspend, and kill a process, at random; then count."""
    ends = time.monotonic() + CHAOS_SECONDS
    over: list[int] = []

    def look() -> None:
        while time.monotonic() < ends:
            found = devices(team)
            over.extend([found] if found > 24 else [])
            time.sleep(0.2)

    with applied(replicas, quota(budget={GPUS: 24})):
        in_force(replicas)
        calls = [functools.partial(act, worker, team, seed, ends) for seed in range(8)]
        calls += [functools.partial(kill, replicas, ends - 20), look]
        threads = [threading.Thread(target=call) for call in calls]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert over == []
        settles(replicas, team, devices(team))


def act(worker: Client, team: Place, seed: int, ends: float) -> None:
    """Do something at random, again and again."""
    chance = random.Random(seed)  # noqa: S311 -- a test
    path = team.path("Job")
    while time.monotonic() < ends:
        name = f"j{seed}-{chance.randrange(4)}"
        what = chance.randrange(6)
        if what < 3:
            worker.request("POST", path, job(name, chance.choice([1, 2, 4])))
        elif what == 3:
            worker.request("DELETE", f"{path}/{name}?propagationPolicy=Background")
        else:
            change: Manifest = {"spec": {"suspend": chance.random() < 0.5}}
            if what == 4:
                change = {"spec": {"parallelism": chance.randrange(1, 5)}}
            worker.request(
                "PATCH", f"{path}/{name}", change, content_type="application/merge-patch+json"
            )


def kill(replicas: Installed, ends: float) -> None:
    """End a process without asking, every now and then."""
    chance = random.Random(1)  # noqa: S311 -- a test
    while time.monotonic() < ends:
        time.sleep(10)
        pids = [line["pid"] for line in replicas.events("worker listening")][-3:]
        with contextlib.suppress(ProcessLookupError):  # it was killed the last time, too
            os.kill(chance.choice(pids), signal.SIGKILL)
