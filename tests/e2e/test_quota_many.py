"""Several quotas that cover one workload, and ledgers that many wait for at once."""

import functools
import json
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Answer, Client
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied
from tests.e2e.test_quota import (
    GPUS,
    LEDGERS,
    at_once,
    creates,
    in_force,
    job,
    quota,
    replicas,
    summed_up,
    team,
    worker,
)

__all__ = ["replicas", "team", "worker"]  # fixtures

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load
CREATOR = "kubectl-ml.io/creator"


def test_a_burst_under_several_quotas_is_admitted_to_the_tightest(
    replicas: Installed, team: Place, worker: Client
) -> None:
    policies = [
        quota(f"q{number}", budget=budget)
        for number, budget in enumerate(
            [{GPUS: 90}, {"pods": 40}, {GPUS: 400, "pods": 60}, {"accelerators": 70}]
        )
    ]
    with applied(replicas, *policies):
        in_force(replicas)
        jobs = [job(f"j{number}") for number in range(200)]
        answers = at_once(creates(worker, team, jobs), threads=200)

        assert Counter(one.status for one in answers) == {201: 40, 403: 160}
        refusals = {one.body["message"].splitlines()[-2] for one in answers if not one.ok}
        assert {one for one in refusals if "try again" in one} == set()

        def settled() -> bool:
            found = [summed_up(replicas, team.name, f"q{number}") for number in range(4)]
            return [Decimal(one.get("used", {}).get("pods", "40")) for one in found] == [
                Decimal(40)
            ] * 4 and not any(one.get("reserved") for one in found)

        waiting.until(settled, what="40 in use under each, and nothing reserved")


def test_who_made_it_pays_for_what_controllers_make_of_it(replicas: Installed, team: Place) -> None:
    by_user = quota(groupBy="user", budget={GPUS: 2})
    by_user["spec"]["match"] = {"namespaces": {"names": [team.name]}}
    with applied(replicas, by_user):
        in_force(replicas)
        team.apply(acting.deployment("web", accelerator="a100:1"))  # two at the peak
        team.pods(1)
        refused = team.try_apply(job("more"))
        assert f"user {acting.USER} has 2 of 2 a100 in use (web 2); more asks for 1" in str(
            refused.stderr
        )
        forged = job("forged")
        forged["metadata"]["annotations"][CREATOR] = "somebody-else"
        assert f"user {acting.USER} has 2 of 2" in team.try_apply(forged).stderr
        team.kubectl("annotate", "deployment/web", f"{CREATOR}=somebody-else", "--overwrite")
        assert team.get("Deployment", "web")["metadata"]["annotations"][CREATOR] == acting.USER

        mine = team.admin.request("POST", team.path("Job"), job("of-the-admin", 2))
        assert mine.ok, mine.body  # who scales another's workload spends the other's budget
        scaled = team.admin.try_kubectl("scale", "deployment/web", "--replicas=2", "-n", team.name)
        assert f"user {acting.USER} has 2 of 2" in scaled.stderr


def as_told(call: Callable[[], Answer]) -> Answer:
    """Try again where the answer says so: 600 at 200 at once are more than slow machines do."""
    for _ in range(5):
        answer = call()
        if "in time; try again" not in str(answer.body):
            break
    return answer


def test_a_ledger_stays_small_however_many_ask(
    replicas: Installed, team: Place, worker: Client
) -> None:
    largest, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):  # more often would keep the API server from what is measured
            for one in team.admin.get(LEDGERS)["items"]:
                largest[0] = max(largest[0], len(json.dumps(one, separators=(",", ":"))))

    with applied(replicas, quota(budget={GPUS: 1000})):
        in_force(replicas)
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            jobs = [job(f"j{number}") for number in range(600)]
            calls = [functools.partial(as_told, one) for one in creates(worker, team, jobs)]
            answers = at_once(calls, threads=200)
        finally:
            done.set()
            watching.join()
        assert Counter(one.status for one in answers) == {201: 600}
    print(f"the largest ledger had {largest[0]} bytes")
    assert 1000 < largest[0] < 4096
