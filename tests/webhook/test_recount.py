"""The leader's work on ledgers: what nobody needs any more is taken away, and nothing else."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
import structlog

from policies.quota.ledger import Hold, Ledger
from policies.quota.trees import Account
from tests import builders
from tests.webhook.test_reserving import Api, Counter, Recorder, ledgers, reserved, takes
from webhook.ledger import config_map, name_of
from webhook.recount import Recount

QUOTA = "kind: QuotaPolicy\nmetadata: {name: gpus}\nspec: {budget: {pods: 4}}\n"
HOLD = Hold(key="aaaaaaaa", asked={"pods": Decimal(1)}, until=2**31)


class Cluster(Counter):
    """What the leader asks: that it leads, which policies there are, what is in use."""

    holds = True

    def __init__(self) -> None:
        super().__init__()
        self.current = builders.policies(QUOTA)


def look(api: Api, seen: Any, *changes: tuple[str, Any], idle_seconds: float = 60) -> None:
    """Have the leader look once at one ledger, as it was seen, and as it changed since."""
    there: Any = Cluster()

    async def scene() -> None:
        leads = Recount(
            api,
            ledgers=ledgers(api),
            watch=there,
            policies=there,
            leader=there,
            recorder=Recorder(),
            log=structlog.get_logger(),
            loop=asyncio.get_running_loop(),
            idle_seconds=idle_seconds,
        )
        leads.listed([seen])
        for event, found in changes:
            leads.changed(event, found)
        list(leads.follow())

    asyncio.run(scene())


def stored(api: Api, group: str, **parts: Any) -> tuple[Account, Any]:
    digest = builders.policies(QUOTA).quotas[0].digest
    ledger = Ledger(policy="gpus", group=group, digest=digest, **parts)
    account = ("gpus", group)
    return account, api.ask("POST", "", what="", body=config_map(ledger, "kubectl-ml", ""))


@pytest.mark.parametrize(
    ("parts", "idle_seconds", "stays"),
    [
        pytest.param({}, 0, False, id="empty"),
        pytest.param({}, 60, True, id="empty since a moment"),
        pytest.param({"holds": {HOLD.key: HOLD}}, 0, True, id="something is reserved"),
    ],
)
def test_a_ledger_that_stays_empty_goes(
    parts: dict[str, Any], idle_seconds: float, stays: bool
) -> None:
    api = Api()
    account, found = stored(api, "nlp", **parts)
    look(api, found, idle_seconds=idle_seconds)
    assert (name_of(account) in api.objects) is stays


def test_a_ledger_that_somebody_reserved_in_since_it_was_seen_stays() -> None:
    api = Api()
    account, seen = stored(api, "nlp")
    asyncio.run(reserved(ledgers(api), [takes("a", {"gpus": 9})]))
    look(api, seen, idle_seconds=0)
    assert name_of(account) in api.objects
    assert len(api.holds("gpus")) == 1


def test_who_reserves_in_a_ledger_that_was_taken_away_makes_it_anew() -> None:
    api = Api()

    async def scene() -> list[Any]:
        one, other = ledgers(api), ledgers(api)
        first = await reserved(one, [takes("a", {"gpus": 9})])
        api.objects.clear()
        other.lost(("gpus", "nlp"), None, 99)
        return [first, *[await reserved(it, [takes("b", {"gpus": 9})]) for it in (one, other)]]

    assert asyncio.run(scene()) == [[((),)]] * 3
    assert len(api.holds("gpus")) == 2  # who made one knows of it still


def changed(found: Any, version: str, **metadata: Any) -> Any:
    """Write a ledger as somebody made something else of it."""
    made = {**found["metadata"], "resourceVersion": version, **metadata}
    return {**found, "metadata": made, "data": {"ledger": "{}"}}


@pytest.mark.parametrize(("idle_seconds", "stays"), [(0, False), (60, True)])
def test_what_stays_no_ledger_goes(idle_seconds: float, *, stays: bool) -> None:
    api = Api()
    account, seen = stored(api, "nlp")
    edited = changed(seen, "1")
    api.objects[name_of(account)] = edited
    look(api, seen, ("MODIFIED", edited), idle_seconds=idle_seconds)
    assert bool(api.objects) is stays


def test_what_was_counted_anew_since_it_was_edited_stays() -> None:
    api = Api()
    account, seen = stored(api, "nlp")
    asyncio.run(reserved(ledgers(api), [takes("a", {"gpus": 9})]))
    look(api, seen, ("MODIFIED", changed(seen, "1")), idle_seconds=0)
    assert name_of(account) in api.objects


def test_what_is_labelled_as_a_ledger_and_none_is_left_alone() -> None:
    api = Api()
    _, seen = stored(api, "nlp")
    copy = {**seen, "metadata": {**seen["metadata"], "name": "copy"}}
    foreign = changed(seen, "8", name="foreign")
    api.objects |= {"copy": copy, "foreign": foreign}
    look(api, seen, ("ADDED", foreign), ("ADDED", copy), ("DELETED", copy), idle_seconds=0)
    assert {*api.objects} == {"copy", "foreign"}  # and the ledger is followed still: it goes


def test_a_ledger_of_a_policy_that_was_made_again_meanwhile_stays() -> None:
    api = Api()
    ledger = Ledger(policy="gone", group="nlp")
    seen = api.ask("POST", "", what="", body=config_map(ledger, "kubectl-ml", ""))
    asyncio.run(reserved(ledgers(api), [takes("a", {"gone": 9})]))
    look(api, seen)
    assert len(api.holds("gone")) == 1
