"""Reservations in several ledgers at once, by two processes, against an API server that fails."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
import structlog

from policies.quota.ledger import Hold, Ledger, Short, key_of
from webhook.apiserver import Conflicting, NotFound
from webhook.errors import NotReachable
from webhook.ledger import LABEL, MANY, Access, Store, Written, config_map, name_of, read
from webhook.reserving import Busy, Found, Ledgers, Reservation
from webhook.usage import Usage

DIGEST = "3f9a21c0"
PODS = "pods"


@dataclass(kw_only=True)
class Api:
    """Keeps ConfigMaps as the API server does, and counts what is asked of it."""

    delay: float = 0.0
    fails: float = 0.0  # how often an answer is lost
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 -- a test
    hangs: dict[str, float] = field(default_factory=dict)  # seconds, by name
    writes: int = 0
    conflicts: int = 0
    largest: int = 0
    objects: dict[str, Any] = field(default_factory=dict)
    versions: Any = field(default_factory=lambda: itertools.count(1))
    lock: Any = field(default_factory=threading.Lock)

    def ask(self, method: str, path: str, *, what: str, body: Any = None) -> Any:
        del what
        name = body["metadata"]["name"] if "metadata" in (body or {}) else path.rpartition("/")[2]
        time.sleep(self.hangs.get(name, self.delay * self.chance.random()))
        with self.lock:
            answer = {"GET": self._get, "DELETE": self._delete}.get(method, self._put)(name, body)
        if self.chance.random() < self.fails:
            raise NotReachable("the answer was lost")
        return answer

    def _get(self, name: str, _body: Any = None) -> Any:
        if name not in self.objects:
            raise NotFound(name)
        return self.objects[name]

    def _delete(self, name: str, body: Any) -> None:
        there = self._get(name)
        if body["preconditions"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            raise Conflicting(name)
        del self.objects[name]

    def _put(self, name: str, body: Any) -> Any:
        if "status" in body:
            return body  # a policy's, which nobody reads here
        there = self.objects.get(name, {"metadata": {"resourceVersion": None}})
        if name not in self.objects and body["metadata"].get("resourceVersion"):
            raise NotFound(name)
        if body["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            self.conflicts += 1
            raise Conflicting(name)
        self.writes += 1
        self.largest = max(self.largest, len(body["data"]["ledger"]))
        version = {"resourceVersion": str(next(self.versions))}
        self.objects[name] = {**body, "metadata": {**body["metadata"], **version}}
        return self.objects[name]

    def holds(self, policy: str) -> dict[str, Hold]:
        found = self.objects.get(name_of((policy, "nlp")))
        written = read(found, 0) if found else None
        return dict(written.ledger.holds) if written else {}


class Counter:
    """Counts nothing: what is reserved stays so."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.floor = 0

    def is_counted(self, policy: str, digest: str) -> bool:
        return bool(policy and digest)

    def refresh(self, version: int | None = None) -> None:
        del version


class Recorder:
    def reserved(self, policy: str, outcome: str) -> None:
        del policy, outcome

    def ledger_corrected(self) -> None:
        return


def ledgers(api: Api) -> Ledgers:
    return Ledgers(
        Access(
            api=api,
            namespace="kubectl-ml",
            counter=Counter(),
            recorder=Recorder(),
            log=structlog.get_logger(),
        )
    )


def seen(config_map: Any) -> Written:
    """As the watch reads a ledger."""
    written = read(config_map, time.monotonic())
    assert written is not None
    return written


def takes(
    uid: str,
    budgets: dict[str, int],
    pods: int = 1,
    *,
    counted: int = 0,
    version: int = 0,
    anyway: Iterable[str] = (),
) -> list[Reservation]:
    hold = Hold(
        key=key_of(uid),
        asked={PODS: Decimal(pods)},
        counted={PODS: Decimal(counted)} if counted else {},
        version=version,
        until=2**31,
    )
    return [
        Reservation(
            account=(policy, "nlp"),
            digest=DIGEST,
            hold=hold,
            budget={PODS: Decimal(most)},
            anyway=policy in anyway,
        )
        for policy, most in budgets.items()
    ]


async def reserved(one: Ledgers, wishes: Iterable[Sequence[Reservation]]) -> list[Found | None]:
    """Reserve at once; None: there was no time."""

    async def one_of(wish: Sequence[Reservation]) -> Found | None:
        try:
            return await one.reserve(wish)
        except Busy:
            return None

    return list(await asyncio.gather(*map(one_of, wishes)))


def in_all(api: Api, policies: Iterable[str], uid: str) -> list[bool]:
    return [key_of(uid) in api.holds(policy) for policy in policies]


def held_as_told(
    api: Api,
    budgets: dict[str, int],
    wishes: Sequence[Sequence[Reservation]],
    found: Sequence[Found | None],
) -> dict[str, Decimal]:
    """See that what was admitted is held in all its ledgers and the rest in none; sum it up."""
    used = {one: sum(hold.takes(PODS) for hold in api.holds(one).values()) for one in budgets}
    assert all(used[one] <= most for one, most in budgets.items())
    for wish, short in zip(wishes, found, strict=True):
        assert short is not None
        there = {one.hold.key in api.holds(one.account[0]) for one in wish}
        assert there == {not any(short)}
    return {one: Decimal(value) for one, value in used.items()}


def test_what_one_ledger_refuses_is_reserved_in_none() -> None:
    api = Api()
    budgets = {"a": 9, "b": 2, "c": 9}

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        return [
            *await reserved(one, [takes("first", budgets, 2)]),
            *await reserved(one, [takes("second", budgets, 1)]),
            *await reserved(one, [takes("third", budgets, 1, anyway=["b"])]),
        ]

    first, second, third = asyncio.run(scene())

    over = Short(
        name=PODS, budget=Decimal(2), used=Decimal(0), reserved=Decimal(2), asks=Decimal(1)
    )
    assert first == ((), (), ())
    assert second == third == ((), (over,), ())
    assert in_all(api, budgets, "second") == [False] * 3
    assert in_all(api, budgets, "third") == [True] * 3


def test_an_update_that_is_refused_leaves_what_an_earlier_one_holds() -> None:
    api = Api()
    budgets = {"a": 9, "b": 4}

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        return [
            *await reserved(one, [takes("bert", budgets, 3, counted=1, version=5)]),
            *await reserved(one, [takes("bert", budgets, 8, counted=1, version=5)]),
        ]

    first, second = asyncio.run(scene())

    assert first == ((), ())
    assert second is not None
    assert second[1][0].over == 3
    assert [api.holds(one)[key_of("bert")].asked for one in budgets] == [{PODS: Decimal(3)}] * 2


def test_what_is_refused_is_asked_again_until_what_was_deleted_is_seen() -> None:
    api = Api()
    began = time.monotonic()

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        await one.reserve(takes("deleted", {"a": 4}, 4))
        second = asyncio.create_task(one.reserve(takes("anew", {"a": 4}, 4)))
        await asyncio.sleep(0.1)
        body = api.objects[name_of(("a", "nlp"))]  # as the leader has counted
        seen = Ledger(policy="a", group="nlp", digest=DIGEST)
        written = config_map(seen, "kubectl-ml", body["metadata"]["resourceVersion"])
        api.ask("PUT", "", what="", body=written)
        return [await second, *await reserved(one, [takes("never", {"a": 4}, 5)])]

    admitted, never = asyncio.run(scene())

    assert admitted == ((),)
    assert in_all(api, "a", "anew") == [True]
    assert never is not None
    assert [one.over for one in never[0]] == [5]
    assert time.monotonic() < began + 0.6  # what never fits is told at once


def test_finding_out_reserves_nothing_and_writes_nothing() -> None:
    api = Api()

    async def scene() -> Found:
        return await ledgers(api).reserve(takes("bert", {"a": 1, "b": 1}, 2), keep=False)

    assert [len(one) for one in asyncio.run(scene())] == [1, 1]
    assert (api.objects, api.writes) == ({}, 0)


def test_many_requests_under_many_quotas_are_few_writes() -> None:
    api = Api(delay=0.01)
    budgets = {f"q{number}": 1000 for number in range(10)}

    found = asyncio.run(
        reserved(ledgers(api), [takes(f"u{number}", budgets) for number in range(100)])
    )

    assert found == [((),) * 10] * 100
    assert {len(api.holds(one)) for one in budgets} == {100}
    assert api.writes == 10


@pytest.mark.parametrize("seed", range(8))
def test_one_process_admits_whatever_fits_and_nothing_else(seed: int) -> None:
    api, chance = Api(delay=0.004), random.Random(seed)  # noqa: S311 -- a test
    budgets = {f"q{number}": chance.randint(5, 40) for number in range(6)}
    wishes = [
        takes(
            f"u{number}",
            {one: budgets[one] for one in chance.sample(sorted(budgets), chance.randint(1, 4))},
            chance.randint(1, 4),
        )
        for number in range(120)
    ]

    found = asyncio.run(reserved(ledgers(api), wishes))

    used = held_as_told(api, budgets, wishes, found)
    for wish, short in zip(wishes, found, strict=True):
        if short is not None and any(short):  # as it is in the end, it still doesn't fit
            assert any(
                used[one.account[0]] + one.hold.takes(PODS) > one.budget[PODS] for one in wish
            )


@pytest.mark.parametrize("seed", range(4))
def test_two_processes_whose_answers_get_lost_never_go_over(seed: int) -> None:
    api = Api(delay=0.004, fails=0.05, chance=random.Random(seed))  # noqa: S311 -- a test
    chance = random.Random(seed)  # noqa: S311 -- a test
    budgets = {f"q{number}": chance.randint(20, 40) for number in range(4)}
    wishes = [
        takes(f"u{number}", dict(chance.sample(sorted(budgets.items()), 2)))
        for number in range(120)
    ]

    async def scene() -> list[Found | None]:
        mine, yours = await asyncio.gather(
            reserved(ledgers(api), wishes[::2]), reserved(ledgers(api), wishes[1::2])
        )
        return [one for pair in zip(mine, yours, strict=True) for one in pair]

    found = asyncio.run(scene())

    used = held_as_told(api, budgets, wishes, found)
    assert sum(used.values()) == 2 * sum(not any(one) for one in found if one is not None)


def test_an_echo_of_what_was_known_before_is_no_second_conflict() -> None:
    api = Api()
    name = name_of(("gpus", "nlp"))

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        await reserved(one, [takes("a", {"gpus": 9})])
        old = api.objects[name]
        metadata = {**old["metadata"], "resourceVersion": str(next(api.versions))}
        api.objects[name] = {**old, "metadata": metadata}  # another process wrote
        asking = asyncio.create_task(reserved(one, [takes("b", {"gpus": 9})]))
        while not asking.done():
            one.saw(seen(old))  # the watch lags
            await asyncio.sleep(0)
        return await asking

    assert asyncio.run(scene()) == [((),)]
    assert (api.writes, api.conflicts) == (2, 1)


def test_a_busy_watch_keeps_no_refusal_from_being_told() -> None:
    api = Api()
    name = name_of(("gpus", "nlp"))

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        await reserved(one, [takes("a", {"gpus": 2}, 2)])
        asking = asyncio.create_task(reserved(one, [takes("b", {"gpus": 2}, 1)]))
        while not asking.done():  # others write all the time, and the watch tells of each
            found = api.objects[name]
            version = str(next(api.versions))
            metadata = {**found["metadata"], "resourceVersion": version}
            api.objects[name] = {**found, "metadata": metadata}
            one.saw(seen(api.objects[name]))
            await asyncio.sleep(0)
        return await asking

    [found] = asyncio.run(scene())

    assert found is not None
    assert [one.over for one in found[0]] == [1]


def test_what_comes_too_late_is_refused_and_given_back() -> None:
    api = Api(hangs={name_of(("slow", "nlp")): 2.0})  # a read, and then a write

    async def scene() -> list[Found | None]:
        one = ledgers(api)
        found = await reserved(one, [takes("late", {"quick": 9, "slow": 9})])
        await asyncio.sleep(4)  # until it is given back, too
        return [*found, *await reserved(one, [takes("other", {"quick": 9})])]

    late, other = asyncio.run(scene())

    assert (late, other) == (None, ((),))
    assert [set(api.holds(one)) for one in ("quick", "slow")] == [{key_of("other")}, set()]


def test_a_ledger_never_grows_beyond_what_is_small() -> None:
    api = Api()

    found = asyncio.run(
        reserved(ledgers(api), [takes(f"u{number}", {"a": 1000}) for number in range(600)])
    )

    assert api.largest <= 3300
    assert 300 < sum(one == ((),) for one in found) == len(api.holds("a")) < 450
    assert {one for one in found if one != ((),)} == {None}  # to be tried again
    body = config_map(read(api.objects[name_of(("a", "nlp"))], 0).ledger, "kubectl-ml", "1")
    assert len(str(body)) < 4096


def test_what_nobody_waits_for_is_forgotten() -> None:
    store = Store(ledgers(Api()).access, ("gpus", "nlp"))
    for number in range(5 * MANY):
        store.remember(Hold(key=f"old-{number}", asked={}, until=1))
    waiting = Hold(key="new", asked={}, until=2**31)
    store.remember(waiting)
    assert len(store.made) <= MANY + 1
    assert store.made["new"] == waiting


def test_who_waited_together_is_not_answered_all_at_once() -> None:
    async def scene() -> tuple[int, int]:
        one = ledgers(Api())
        asking = [
            asyncio.create_task(one.reserve(takes(f"u{number}", {"gpus": 99})))
            for number in range(40)
        ]
        first, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        every, _ = await asyncio.wait(asking)
        return len(first), len(every)

    first, every = asyncio.run(scene())

    assert 1 <= first <= 8
    assert every == 40


def test_what_is_asked_again_of_a_ledger_that_was_lost_meanwhile_is_answered() -> None:
    api = Api()

    async def scene() -> Found:
        one, other = ledgers(api), ledgers(api)
        await reserved(other, [takes("a", {"gpus": 2}, 2)])
        asking = asyncio.create_task(one.reserve(takes("b", {"gpus": 2})))
        await asyncio.sleep(0.15)  # refused, and to be asked again
        api.objects.clear()
        one.lost(("gpus", "nlp"), None, 99)
        return await asking

    assert asyncio.run(scene()) == ((),)
    assert [*api.holds("gpus")] == [key_of("b")]


@pytest.mark.parametrize("told_after", [0.0, 0.1])
@pytest.mark.parametrize("deleted", [True, False])
def test_what_others_reserved_in_a_ledger_that_is_lost_counts_on(
    told_after: float, *, deleted: bool
) -> None:
    """Whoever makes it anew has to know the last of it, which the watch tells in a moment."""
    api, account = Api(), ("gpus", "nlp")
    name = name_of(account)

    async def scene() -> Found:
        one, other = ledgers(api), ledgers(api)
        await one.reserve(takes("a", {"gpus": 3}, 1))
        other.saw(seen(api.objects[name]))
        await one.reserve(takes("b", {"gpus": 3}, 1))
        last = seen(api.objects[name])
        if deleted:
            del api.objects[name]
        else:
            version = {"resourceVersion": "7"}
            edited = {"metadata": {**api.objects[name]["metadata"], **version}, "data": {}}
            api.objects[name] = edited
        asking = asyncio.create_task(other.reserve(takes("c", {"gpus": 3}, 2), patient=False))
        await asyncio.sleep(told_after)
        if not deleted:
            other.saw(last)
        other.lost(account, last.ledger if deleted else None, 7)
        return await asking

    (short,) = asyncio.run(scene())

    assert [(one.reserved, one.over) for one in short] == [(Decimal(2), Decimal(1))]


def test_a_ledger_that_the_watch_does_not_tell_of_is_counted_anew_all_the_same() -> None:
    api, account = Api(), ("gpus", "nlp")

    async def scene() -> Found:
        one, other = ledgers(api), ledgers(api)
        await one.reserve(takes("a", {"gpus": 3}, 1))
        other.saw(seen(api.objects[name_of(account)]))
        api.objects.clear()
        return await other.reserve(takes("b", {"gpus": 3}, 2))

    assert asyncio.run(scene()) == ((),)
    assert {*api.holds("gpus")} == {key_of("a"), key_of("b")}


def test_a_ledger_without_its_label_is_counted_anew_and_gets_it_back() -> None:
    """The leader, which follows what is labelled, counts it no more."""
    api = Api()
    full = Ledger(policy="gpus", group="nlp", digest=DIGEST, used={PODS: Decimal(4)})
    written = config_map(full, "kubectl-ml", "")
    del written["metadata"]["labels"]
    api.ask("POST", "", what="", body=written)

    found = asyncio.run(reserved(ledgers(api), [takes("a", {"gpus": 4})]))

    assert found == [((),)]
    assert api.objects[name_of(("gpus", "nlp"))]["metadata"]["labels"] == {LABEL: "true"}


def test_an_earlier_loss_is_not_taken_for_a_later_one() -> None:
    api, account = Api(), ("gpus", "nlp")
    name = name_of(account)

    async def scene() -> Found:
        one, other = ledgers(api), ledgers(api)
        await one.reserve(takes("a", {"gpus": 3}, 1))
        other.saw(seen(api.objects[name]))
        other.lost(account, None, 1)
        await one.reserve(takes("b", {"gpus": 3}, 1))  # counted anew, and edited again
        last = seen(api.objects[name])
        edited = {**api.objects[name]["metadata"], "resourceVersion": "7"}
        api.objects[name] = {"metadata": edited, "data": {}}
        asking = asyncio.create_task(other.reserve(takes("c", {"gpus": 3}, 2), patient=False))
        await asyncio.sleep(0.1)
        other.saw(last)
        other.lost(account, None, 7)
        return await asking

    (short,) = asyncio.run(scene())

    assert [(one.reserved, one.over) for one in short] == [(Decimal(2), Decimal(1))]
