"""The ledger, against a world of stale caches, lost races and processes that die."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from policies.quota import ledger as ledgers
from policies.quota.ledger import Hold, Ledger, Seen, Short

GPUS = "accelerators.a100"


def gpus(number: int) -> Mapping[str, Decimal]:
    return {GPUS: Decimal(number)}


def hold(uid: str, asked: int, *, counted: int = 0, version: int = 0, until: int = 100) -> Hold:
    return Hold(
        key=ledgers.key_of(uid),
        asked=gpus(asked),
        counted=gpus(counted) if counted else {},
        version=version,
        until=until,
    )


EMPTY = Ledger(policy="gpus", group="nlp", digest="3f9a21c0")


def test_what_fits_is_reserved_and_what_does_not_leaves_no_trace() -> None:
    after, short = EMPTY.reserve(hold("one", 6), gpus(8))
    assert short == ()
    assert after.reserved(GPUS) == 6

    again, short = after.reserve(hold("two", 4), gpus(8))
    assert again is after
    assert short == (
        Short(name=GPUS, budget=Decimal(8), used=Decimal(0), reserved=Decimal(6), asks=Decimal(4)),
    )
    assert short[0].over == 2


def test_a_second_review_of_the_same_object_takes_nothing_more() -> None:
    after, _ = EMPTY.reserve(hold("one", 6), gpus(8))
    again, short = after.reserve(hold("one", 6), gpus(8))
    assert (again, short) == (after, ())
    larger, short = after.reserve(hold("one", 8, until=120), gpus(8))
    assert short == ()
    assert larger.reserved(GPUS) == 8


def test_what_is_asked_beyond_an_object_s_own_hold_is_the_difference_alone() -> None:
    there, _ = replace(EMPTY, used=gpus(1)).reserve(hold("one", 3, counted=1, version=5), gpus(3))

    again, short = there.reserve(hold("one", 3, counted=1, version=5), gpus(2))
    assert (again, short) == (there, ())
    _, short = there.reserve(hold("one", 4, counted=3, version=6), gpus(3))
    assert short == (
        Short(name=GPUS, budget=Decimal(3), used=Decimal(1), reserved=Decimal(2), asks=Decimal(1)),
    )


def test_what_was_counted_of_an_object_isn_t_taken_from_a_review_that_lost() -> None:
    """Reviewed at 4 of its own and asked again when it was suspended, and counted so, since."""
    there, _ = replace(EMPTY, used=gpus(4)).reserve(hold("one", 8, counted=4, version=5), gpus(8))

    _, short = there.reserve(hold("one", 8, counted=0, version=6), gpus(8))

    assert short == (
        Short(name=GPUS, budget=Decimal(8), used=Decimal(4), reserved=Decimal(4), asks=Decimal(4)),
    )


def test_scaling_up_takes_the_difference() -> None:
    there = replace(EMPTY, used=gpus(8))
    after, short = there.reserve(hold("one", 10, counted=8, version=7), gpus(10))
    assert short == ()
    assert (after.used, after.reserved(GPUS)) == (gpus(8), 2)
    _, short = there.reserve(hold("one", 11, counted=8, version=7), gpus(10))
    assert [one.over for one in short] == [1]


def test_what_takes_nothing_more_fits_even_where_the_budget_is_overdrawn() -> None:
    there = replace(EMPTY, used=gpus(20))
    after, short = there.reserve(hold("one", 8, counted=8, version=7), gpus(10))
    assert short == ()
    assert after.reserved(GPUS) == 0


def test_anyway_reserves_and_still_says_what_does_not_fit() -> None:
    after, short = EMPTY.reserve(hold("one", 9), gpus(8), anyway=True)
    assert [one.over for one in short] == [1]
    assert after.reserved(GPUS) == 9


@pytest.mark.parametrize(
    ("version", "seen", "left"),
    [
        pytest.param(0, None, 4, id="a create that wasn't seen stays reserved"),
        pytest.param(0, Seen(counted=gpus(4), version=5), None, id="a create that was seen"),
        pytest.param(7, Seen(counted=gpus(3), version=7), 1, id="an update that isn't through"),
        pytest.param(7, Seen(counted=gpus(4), version=8), None, id="an update that is"),
        pytest.param(7, Seen(counted=gpus(3), version=8), None, id="an update that lost"),
    ],
)
def test_a_hold_ends_when_its_object_is_seen(
    version: int, seen: Seen | None, left: int | None
) -> None:
    there, _ = EMPTY.reserve(hold("one", 4, version=version), gpus(8))
    after = there.recount(gpus(3), lambda _: seen)
    assert after.used == gpus(3)
    assert (left is None) == (not after.holds)
    assert after.reserved(GPUS) == (left or 0)


def test_what_expired_ends_by_a_live_read_alone() -> None:
    there, _ = EMPTY.reserve(hold("one", 4, until=50), gpus(8))
    there, _ = there.reserve(hold("two", 2, until=70), gpus(8))
    assert [one.key for one in there.expired(60)] == [ledgers.key_of("one")]
    assert there.recount({}, lambda _: None) == there
    after = there.recount({}, lambda _: None, over=60)
    assert [*after.holds] == [ledgers.key_of("two")]


def test_a_ledger_is_read_as_it_was_written_and_small() -> None:
    there = replace(EMPTY, used={GPUS: Decimal("8"), "cpu": Decimal("0.5")})
    for number in range(120):
        there, _ = there.reserve(hold(f"uid-{number}", 1), gpus(1000))
    there, _ = there.reserve(hold("scaled", 9, counted=8, version=41), gpus(1000))
    text = ledgers.dumps(there)
    assert ledgers.loads(text) == there
    assert len(text) < 4096


def test_room_that_a_hold_kept_is_none_in_a_smaller_budget() -> None:
    """It asked for 4, and for 1 since, which nobody saw yet; meanwhile the budget shrank."""
    there, _ = EMPTY.reserve(hold("one", 4), gpus(8))
    there, _ = there.reserve(hold("two", 1), gpus(8))

    after, short = there.reserve(hold("one", 4, counted=1, version=4), gpus(4))

    assert after == there
    assert short == (
        Short(name=GPUS, budget=Decimal(4), used=Decimal(0), reserved=Decimal(1), asks=Decimal(4)),
    )
    again, short = there.reserve(hold("one", 4, counted=1, version=4), gpus(5))
    assert not short
    assert again.reserved(GPUS) == 5


def test_holds_that_ask_for_different_things_take_little_room() -> None:
    keys = ("accelerators", GPUS, "cpu", "memory", "pods", "requests.ephemeral-storage")
    many = replace(EMPTY, used=dict.fromkeys(keys, Decimal(1)))
    for number in range(50):
        asked = {key: Decimal(number + 1) * 2**30 for key in keys}
        key = ledgers.key_of(f"uid-{number}")
        many, _ = many.reserve(Hold(key=key, asked=asked, until=1_795_640_000), {})
    over = Hold(
        key=ledgers.key_of("other"),
        asked={"cpu": Decimal("0.5")},
        counted={"pods": Decimal(2)},
        until=1_795_640_005,
        version=7,
    )
    many, _ = many.reserve(over, {})
    text = ledgers.dumps(many)
    assert ledgers.loads(text) == many
    assert len(text) < 6000  # half of what naming each thing each time took


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"v":2}',
        '{"v":1,"policy":"p","group":"g","digest":"","used":{"cpu":"much"},"n":[],"h":[]}',
        '{"v":1,"policy":"p","group":"g","digest":"","used":{"cpu":"NaN"},"n":[],"h":[]}',
        '{"v":1,"policy":"p","group":"g","digest":"","used":{"cpu":"-4"},"n":[],"h":[]}',
        '{"v":2,"policy":"p","group":"g","digest":"","used":{},"n":[],"h":[1]}',
        '{"v":2,"policy":"p","group":"g","digest":"","used":{},"h":[]}',
        '{"v":2,"policy":"p","group":"g","digest":"","used":{},"n":["a"],'
        '"h":[["1 2","",0,1,"aaaaaaaa"]]}',
        '{"v":2,"policy":"p","group":"g","digest":"","used":{},"n":["a"],'
        '"h":[["-1","",0,1,"aaaaaaaa"]]}',
    ],
)
def test_what_somebody_made_of_a_ledger_is_unreadable(text: str) -> None:
    with pytest.raises(ledgers.Unreadable):
        ledgers.loads(text)


# --- a world ---------------------------------------------------------------------------------

BUDGET = 10


@dataclass
class Thing:
    """An object in the API server."""

    demand: int
    version: int


@dataclass
class Write:
    """A write that was allowed, and is on its way to storage."""

    uid: str
    demand: int
    version: int  # it was reviewed against; 0: a create
    until: int


@dataclass
class Cache:
    """What one process has seen."""

    seen: dict[str, Thing] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    at: int = 0


class World(RuleBasedStateMachine):
    """Requests, writes that come late or never, a leader that lags, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.now = 0
        self.things: dict[str, Thing] = {}
        self.events: list[tuple[str, Thing | None]] = []
        self.writes: list[Write] = []
        self.waiting: list[tuple[Write, int]] = []  # reviewed, and asked of the ledger later
        self.ledger = EMPTY
        self.made: dict[str, Hold] = {}  # as a process remembers what it reserved
        self.budget = BUDGET
        self.cache = Cache()
        self.count = 0

    def _reserve(self, write: Write, counted: int) -> bool:
        one = hold(
            write.uid, write.demand, counted=counted, version=write.version, until=write.until
        )
        self.ledger, short = self.ledger.reserve(one, gpus(self.budget))
        if not short:
            self.made[one.key] = self.ledger.holds[one.key]
            if write not in self.writes:
                self.writes.append(write)
            assert self._possible() <= max(self.budget, self._possible(but=write))
        return not short

    def _possible(self, but: Write | None = None) -> int:
        """Add up what there can be at most once every write that is under way has come."""
        most = {uid: thing.demand for uid, thing in self.things.items()}
        for write in self.writes:
            there = self.things.get(write.uid)
            comes = write.until >= self.now and write.version == (there.version if there else 0)
            if comes and write != but:
                most[write.uid] = max(most.get(write.uid, 0), write.demand)
        return sum(most.values())

    @rule(budget=st.integers(4, 14))
    def change_budget(self, budget: int) -> None:
        """What is there stays; what is new goes by the new one."""
        self.budget = budget

    @rule(digest=st.sampled_from(["3f9a21c0", "aa00bb11"]), lost=st.booleans())
    def count_anew(self, digest: str, lost: bool) -> None:
        """The policy is another one, or somebody deleted the ledger: see `Store.counted_anew`."""
        if not lost and self.ledger.digest == digest:
            return
        self.watch(len(self.events))
        made = {key: one for key, one in self.made.items() if one.until >= self.now}
        holds = made if lost else {**made, **self.ledger.holds}
        self.ledger = replace(EMPTY, digest=digest, holds=holds).recount(self._used(), self._seen)

    @rule(demand=st.integers(1, 6), times=st.integers(1, 3))
    def create(self, demand: int, times: int) -> None:
        self.count += 1
        write = Write(uid=f"u{self.count}", demand=demand, version=0, until=self.now + 3)
        for _ in range(times):  # one request, many reviews
            self._reserve(write, 0)

    @rule(data=st.data(), demand=st.integers(1, 8), waits=st.booleans())
    def scale(self, data: st.DataObject, demand: int, waits: bool) -> None:
        if not self.things:
            return
        uid = data.draw(st.sampled_from(sorted(self.things)))
        thing = self.things[uid]
        write = Write(uid=uid, demand=demand, version=thing.version, until=self.now + 3)
        if demand > thing.demand and waits:
            self.waiting.append((write, thing.demand))
        elif demand > thing.demand:
            self._reserve(write, thing.demand)
        else:
            self.writes.append(write)

    @rule(data=st.data())
    def come_to_the_ledger(self, data: st.DataObject) -> None:
        """What was refused is asked again, of a ledger that knows the object as it is since."""
        if self.waiting:
            write, counted = data.draw(st.sampled_from(self.waiting))
            self.waiting.remove((write, counted))
            self._reserve(write, counted)

    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """Store a write, unless it lost against another or its time is over."""
        if not self.writes:
            return
        write = data.draw(st.sampled_from(self.writes))
        self.writes.remove(write)
        there = self.things.get(write.uid)
        if write.until < self.now:
            return
        if (there.version if there else 0) != write.version:
            self._review_again(write, there)
            return
        self.version += 1
        self.things[write.uid] = Thing(demand=write.demand, version=self.version)
        self.events.append((write.uid, self.things[write.uid]))

    def _review_again(self, write: Write, there: Thing | None) -> None:
        """Do as the API server does with an update that lost against another."""
        if there and write.version:
            again = replace(write, version=there.version)
            if again.demand > there.demand:
                self._reserve(again, there.demand)
            else:
                self.writes.append(again)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """Another webhook refuses what we allowed."""
        if self.writes:
            self.writes.remove(data.draw(st.sampled_from(self.writes)))

    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        """Change an object's labels."""
        if self.things:
            uid = data.draw(st.sampled_from(sorted(self.things)))
            self.version += 1
            self.things[uid] = Thing(demand=self.things[uid].demand, version=self.version)
            self.events.append((uid, self.things[uid]))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.things:
            uid = data.draw(st.sampled_from(sorted(self.things)))
            del self.things[uid]
            self.version += 1
            self.events.append((uid, None))

    @rule(events=st.integers(1, 4))
    def watch(self, events: int) -> None:
        """The leader sees some events."""
        for uid, thing in self.events[self.cache.at : self.cache.at + events]:
            self.cache.at += 1
            self.cache.gone |= {uid} if thing is None else set()
            if thing is None:
                self.cache.seen.pop(uid, None)
            else:
                self.cache.seen[uid] = thing

    @rule()
    def recount(self) -> None:
        self.ledger = self.ledger.recount(self._used(), self._seen)

    @rule()
    def expire(self) -> None:
        """A live read, after which what is too old ends."""
        self.watch(len(self.events))
        self.ledger = self.ledger.recount(self._used(), self._seen, over=self.now)

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def write_and_read(self) -> None:
        assert ledgers.loads(ledgers.dumps(self.ledger)) == self.ledger

    def _used(self) -> Mapping[str, Decimal]:
        return gpus(sum(thing.demand for thing in self.cache.seen.values()))

    def _seen(self, key: str) -> Seen | None:
        by_key = {ledgers.key_of(uid): uid for uid in (*self.cache.seen, *self.cache.gone)}
        uid = by_key.get(key)
        if uid is None:
            return None
        thing = self.cache.seen.get(uid)
        if thing is None:
            return Seen(counted={}, version=10**9)
        return Seen(counted=gpus(thing.demand), version=thing.version)

    def teardown(self) -> None:
        """Once all is quiet, used is what there is, and nothing is reserved."""
        self.writes.clear()
        self.now += 10
        self.expire()
        assert self.ledger.used.get(GPUS, Decimal(0)) == sum(
            thing.demand for thing in self.things.values()
        )
        assert not self.ledger.holds
        super().teardown()


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('"accelerators":"4"', '"accelerators":"1"', id="what is in use lowered"),
        pytest.param('"h":[', '"h":[[],', id="another hold"),
        pytest.param('"sum":"', '"sum":"0', id="another sum"),
    ],
)
def test_what_was_edited_by_hand_is_unreadable(before: str, after: str) -> None:
    text = ledgers.dumps(Ledger(policy="gpus", group="nlp", used={"accelerators": Decimal(4)}))
    assert before in text

    with pytest.raises(ledgers.Unreadable):
        ledgers.loads(text.replace(before, after))


def test_a_ledger_without_a_sum_is_one_of_an_earlier_version() -> None:
    ledger = Ledger(policy="gpus", group="nlp", used={"accelerators": Decimal(4)})
    text, _, _ = ledgers.dumps(ledger).rpartition(',"sum"')

    assert ledgers.loads(f"{text}}}") == ledger
