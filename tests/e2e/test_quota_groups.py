"""A quota of thousands of groups, whose control plane ends with it: what it leaves goes slowly."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.acting import Place
from tests.e2e.controlplane import build, cluster, nodes, waiting
from tests.e2e.controlplane.client import Client
from tests.e2e.installed import Installed
from tests.e2e.test_policies import GROUP, applied
from tests.e2e.test_quota import GPUS, at_once, creates, in_force, job, quota, team, worker

__all__ = ["team", "worker"]  # fixtures

pytestmark = pytest.mark.load
GROUPS = 5000
BY_LABEL = (
    "has(object.metadata.labels) && 'project' in object.metadata.labels ? "
    "object.metadata.labels.project : ''"
)


@pytest.fixture(scope="module")
def replicas(programs: build.Programs) -> Iterator[Installed]:
    with cluster.ControlPlane(programs=programs) as control_plane:
        control_plane.add_nodes(*nodes.FLEET)
        made = Installed(control_plane, control_plane.directory)
        made.install()
        made.start("--workers=3")
        yield made
        made.stop()


def test_each_of_thousands_of_groups_has_its_budget(
    replicas: Installed, team: Place, worker: Client
) -> None:
    jobs = [job(f"j{n}") for n in range(GROUPS)]
    for number, one in enumerate(jobs):
        one["metadata"]["labels"] = {"project": f"p{number}"}
    with applied(replicas, quota(groupBy=BY_LABEL, budget={GPUS: 1})):
        in_force(replicas)
        answers = at_once(creates(worker, team, jobs))
        assert Counter(one.status for one in answers) == {201: GROUPS}
        second = job("again")
        second["metadata"]["labels"] = {"project": "p7"}
        over = team.try_apply(second)
        assert "has 1 of 1 a100 in use (j7 1); again asks for 1, 1 too many" in over.stderr

        def summed_up() -> bool:
            status = team.admin.get(f"{GROUP}/quotapolicies/gpus")["status"]
            return status["groupsInAll"] == GROUPS and len(status["groups"]) == 100

        waiting.until(summed_up, what="a bounded status", timeout_seconds=60)
