"""
The ledger of one group under one policy: what is in use, what is reserved, and until when.

    ledger = Ledger(policy="gpus", group="nlp")
    hold = Hold(key=key_of(uid), asked={"accelerators.a100": Decimal(4)}, until=…)
    after, short = ledger.reserve(hold, {"accelerators.a100": Decimal(16)})

A ledger is a value. Whoever has it written with a compare-and-swap has reserved; nobody else has.

- `used` is what the objects that were seen ask for. Only a recount changes it.
- A hold is the absolute demand of one object, never an increment: however often a request is
  reviewed, there is one hold. `counted` is what `used` has of the same object already, so that a
  scale-up from 8 to 10 takes 2.
- A hold ends when the object is seen, at a version later than the one that was reviewed: the write
  that was reviewed either made that version, or lost against it and is reviewed again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeAlias

Amounts: TypeAlias = Mapping[str, Decimal]  # by the budget's keys: accelerators.a100, pods, cpu

_ZERO = Decimal(0)
_FORMAT = 2
_NONE = "-"
# Of a uid's digest, eight characters. Two alike matter only where both are held by one group at
# once, some hundreds of 2**48; the server makes the uids, so nobody chooses them.
_KEY_BYTES = 6


class Unreadable(ValueError):  # noqa: N818 -- named for what it is
    """What should be a ledger is something else; it is counted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    What is reserved for one object until it is seen.

    `version` is the resourceVersion that an update was reviewed against, 0 for a create. `until`
    (seconds since 1970) is when the API server has certainly given up on the request.
    """

    key: str  # `key_of(uid)`
    asked: Amounts
    until: int
    counted: Amounts = field(default_factory=dict)
    version: int = 0

    def takes(self, name: str) -> Decimal:
        """Tell how much of one resource it takes besides what is counted."""
        return max(_ZERO, self.asked.get(name, _ZERO) - self.counted.get(name, _ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """What doesn't fit: of `name`, `taken` of `budget` is in use or reserved, `asks` are asked."""

    name: str
    budget: Decimal
    used: Decimal
    reserved: Decimal
    asks: Decimal

    @property
    def over(self) -> Decimal:
        """Tell how much is too much."""
        return self.used + self.reserved + self.asks - self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object as it was seen last: what `used` has of it, and its resourceVersion."""

    counted: Amounts
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What one group has in use and reserved under one policy."""

    policy: str
    group: str
    digest: str = ""  # of the policy that `used` was counted for
    used: Amounts = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)  # by key

    def reserved(self, name: str) -> Decimal:
        """Tell how much of one resource is reserved and not in use yet."""
        return sum((hold.takes(name) for hold in self.holds.values()), _ZERO)

    def reserve(
        self, hold: Hold, budget: Amounts, *, anyway: bool = False
    ) -> tuple[Ledger, tuple[Short, ...]]:
        """
        Reserve, all or nothing: the ledger afterwards, and what doesn't fit.

        The object's own hold doesn't stand in its way; of two the larger demand stays, and the
        smaller of what was counted. What takes nothing more fits even where the budget is
        overdrawn.
        `anyway` reserves what doesn't fit, too.
        """
        opened = Opened(self)
        short = opened.short(hold, budget)
        if short and not anyway:
            return self, short
        opened.put(hold)
        return opened.closed(), short

    def release(self, key: str) -> Ledger:
        """Give back what was reserved for one object."""
        opened = Opened(self)
        opened.release(key)
        return opened.closed()

    def recount(
        self, used: Amounts, seen: Callable[[str], Seen | None], *, over: float = 0
    ) -> Ledger:
        """
        Put in what is in use now, and end the holds of what was seen since it was reviewed.

        Both come from one look at the objects, so nothing is missed between them. Where that was a
        live read, `over` is when it began: holds whose time was over by then end, seen or not.
        """
        holds = {}
        for key, hold in self.holds.items():
            found = seen(key)
            if hold.until < over:
                continue
            if found is None:
                holds[key] = hold
            elif hold.version and found.version <= hold.version:
                holds[key] = replace(hold, counted=_known(found.counted, hold.asked))
        used = {name: value for name, value in used.items() if value}
        return replace(self, used=used, holds=holds)

    def expired(self, now: float) -> Iterator[Hold]:
        """Give the holds whose time is over; they end when a live read finds no such object."""
        return (hold for hold in self.holds.values() if hold.until < now)


class Opened:
    """
    A ledger that is worked on: what is reserved is summed up once, however many ask.

    The ledger itself stays as it was; `closed` gives the one afterwards.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._holds = dict(ledger.holds)
        self._changed = False
        self._reserved: dict[str, Decimal] = {}
        for hold in self._holds.values():
            self._add(hold, 1)

    def short(self, hold: Hold, budget: Amounts) -> tuple[Short, ...]:
        """
        Find what a hold doesn't fit into; the object's own doesn't stand in its way.

        What raises nothing fits even where the budget is overdrawn. So does what was reviewed
        already, but not what a hold of an earlier version has room for: the object may have asked
        for less since, and the budget be a smaller one.
        """
        there = self._holds.get(hold.key)
        joined, changed = _joined(there, hold), there is None or hold.version > there.version
        found = []
        for name, most in sorted(budget.items()):
            own = there.takes(name) if there else _ZERO
            asks = joined.takes(name) - own
            used = self.ledger.used.get(name, _ZERO)
            reserved = self._reserved.get(name, _ZERO)
            raises = asks or (changed and hold.takes(name))
            if not raises or used + reserved + asks <= most:
                continue
            if not asks:
                asks, reserved = own, reserved - own
            found.append(Short(name=name, budget=most, used=used, reserved=reserved, asks=asks))
        return tuple(found)

    def put(self, hold: Hold) -> None:
        """Reserve, whether it fits or not."""
        there = self._holds.get(hold.key)
        hold = _joined(there, hold)
        if hold == there:
            return
        if there:
            self._add(there, -1)
        self._add(hold, 1)
        self._holds[hold.key] = hold
        self._changed = True

    def release(self, key: str) -> None:
        """Give back what was reserved for one object."""
        there = self._holds.pop(key, None)
        if there:
            self._add(there, -1)
            self._changed = True

    def closed(self) -> Ledger:
        """Give the ledger afterwards: the same one, if nothing changed."""
        return replace(self.ledger, holds=self._holds) if self._changed else self.ledger

    def _add(self, hold: Hold, sign: int) -> None:
        for name in hold.asked:
            self._reserved[name] = self._reserved.get(name, _ZERO) + sign * hold.takes(name)


def _joined(there: Hold | None, hold: Hold) -> Hold:
    if there is None:
        return hold
    names = {*there.asked, *hold.asked}
    return Hold(
        key=hold.key,
        asked={
            name: max(there.asked.get(name, _ZERO), hold.asked.get(name, _ZERO)) for name in names
        },
        counted=_least(there.counted, hold.counted),
        until=max(there.until, hold.until),
        version=max(there.version, hold.version),
    )


def _least(one: Amounts, other: Amounts) -> Amounts:
    """
    Take the smaller of what two reviews say `used` has of an object.

    The ledger may know the object at a later version than a review that lost against that: what was
    put for it is too little, and the review that comes after it sets that right.
    """
    return {name: min(value, other[name]) for name, value in one.items() if name in other}


def _known(counted: Amounts, asked: Amounts) -> Amounts:
    return {name: value for name, value in counted.items() if name in asked}


def key_of(uid: str) -> str:
    """Shorten a uid for the ledger."""
    digest = hashlib.blake2b(uid.encode(), digest_size=_KEY_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii")


# --- written down --------------------------------------------------------------------------


def dumps(ledger: Ledger) -> str:
    """
    Write a ledger, compactly: names once, and objects that ask for the same stand together.

    `h` has a list for each kind of hold: what it asks and what of it is counted, as quantities in
    the order of the names in `n`, the version, the end, and the keys in one string.

        {"n":["cpu","pods"],"h":[["8 -","",0,1795640000,"aaaaaaaabbbbbbbb"]],…,"sum":"1c291ca3"}

    `sum` is no secret: who edits a ledger by hand doesn't think of it, so that it is noticed.
    """
    names = sorted(
        {name for hold in ledger.holds.values() for name in (*hold.asked, *hold.counted)}
    )
    alike: dict[tuple[Any, ...], list[str]] = {}
    for key, hold in sorted(ledger.holds.items()):
        what = (_row(hold.asked, names), _row(hold.counted, names), hold.version, hold.until)
        alike.setdefault(what, []).append(key)
    text = json.dumps(
        {
            "v": _FORMAT,
            "policy": ledger.policy,
            "group": ledger.group,
            "digest": ledger.digest,
            "used": dict(_written(ledger.used)),
            "n": names,
            "h": [[*what, "".join(keys)] for what, keys in alike.items()],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return f"{text[:-1]}{_sum(text)}"


def _sum(text: str) -> str:
    return f',"sum":"{zlib.crc32(text.encode()):08x}"}}'


def _is_ours(text: str, found: Mapping[str, Any]) -> bool:
    """Tell whether a ledger is as it was written; those of earlier versions don't say."""
    if "sum" not in found:
        return True
    length = len(_sum(""))
    return _sum(f"{text[:-length]}}}") == text[-length:]


def loads(text: str) -> Ledger:
    """Read a ledger; raises Unreadable where somebody made something else of it."""
    try:
        found = json.loads(text)
        if not _is_ours(text, found):
            raise Unreadable("somebody edited the ledger")
        return Ledger(
            policy=str(found["policy"]),
            group=str(found["group"]),
            digest=str(found["digest"]) if found["v"] == _FORMAT else "",
            used=_read(found["used"]),
            holds={hold.key: hold for hold in _holds(found["h"], found["n"])},
        )
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise Unreadable(f"the ledger can't be read: {error!r}") from error


def _holds(listed: Iterable[Any], names: Sequence[str]) -> Iterator[Hold]:
    length = len(key_of(""))
    for asked, counted, version, until, keys in listed:
        asks, has = _of_row(asked, names), _of_row(counted, names)
        number, end = int(version), int(until)
        for at in range(0, len(keys), length):
            key = keys[at : at + length]
            yield Hold(key=key, asked=asks, counted=has, version=number, until=end)


def _row(amounts: Amounts, names: Iterable[str]) -> str:
    """Write quantities in the order of names, `-` for none; nothing at all is an empty text."""
    known = dict(_written(amounts))
    return " ".join(known.get(name, _NONE) for name in names) if known else ""


def _of_row(text: str, names: Sequence[str]) -> Amounts:
    values = text.split()
    if values and len(values) != len(names):
        raise ValueError("a hold has other quantities than there are names")
    return _read({name: value for name, value in zip(names, values) if value != _NONE})  # noqa: B905 -- looked at above


def _written(amounts: Amounts) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted((name, f"{value.normalize():f}") for name, value in amounts.items() if value)
    )


def _read(amounts: Mapping[str, str]) -> Amounts:
    read = {name: Decimal(value) for name, value in amounts.items()}
    if not all(value.is_finite() and value >= 0 for value in read.values()):
        raise ValueError("an amount in it is no number")
    return read
