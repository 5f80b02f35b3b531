"""What quotas answer while nothing can be reserved."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from policies.model import Facts
from tests import builders
from tests.webhook.test_reserving import Api, Recorder, ledgers
from tests.webhook.test_watching_usage import Api as Served
from tests.webhook.test_watching_usage import Cluster
from webhook.ledger import name_of
from webhook.quota import Outcome, Quotas
from webhook.review import Review
from webhook.usage import Usage
from webhook.watching_usage import UsageWatch

BUSY = "one could not be counted against the budget of namespace ml in time; try again"
QUOTA = "kind: QuotaPolicy\nmetadata: {name: %s}\nspec: {budget: {pods: 4}, enforcement: %s}\n"


def answered(*enforcements: str) -> Outcome:
    """Ask about a pod under quotas whose ledgers the API server is too slow to write."""
    names = [f"q{number}" for number in range(len(enforcements))]
    pairs = zip(names, enforcements, strict=True)
    given = builders.policies("---\n".join(QUOTA % pair for pair in pairs))
    cluster = Cluster(current=given, known=Facts())
    watch = UsageWatch(
        Served(),
        usage=Usage(),
        policies=cluster,
        facts=cluster,
        recorder=cluster,
        log=structlog.get_logger(),
    )
    hangs = {name_of((name, "ml")): 3.5 for name in names}
    pod: Any = builders.pod()
    pod["metadata"] = {"name": "one", "namespace": "ml", "uid": "uid"}
    request = builders.request(pod)

    async def scene() -> Outcome:
        quotas = Quotas(
            watch=watch,
            ledgers=ledgers(Api(hangs=hangs)),
            recorder=Recorder(),
            log=structlog.get_logger(),
        )
        return await quotas.admit(Review("uid", request), given, Facts())

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("enforcements", "told"),
    [
        pytest.param(["Warn"], ([], [f"q0: {BUSY}"], []), id="a warning of what only warns"),
        pytest.param(["Audit"], ([], [], [BUSY]), id="a note of what only records"),
        pytest.param(["Warn", "Deny"], ([BUSY], [], []), id="a refusal where one of them refuses"),
    ],
)
def test_what_cannot_be_reserved_in_time_is_told_as_the_policy_wants(
    enforcements: list[str], told: tuple[list[str], list[str], list[str]]
) -> None:
    found = answered(*enforcements)

    violations, audits = ([one.message for one in it] for it in (found.violations, found.audits))
    assert (violations, found.warnings, audits) == told
