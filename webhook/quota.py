"""
Quotas at `/validate`: what a request adds to what a group may use is reserved before the answer.

What no quota covers costs a look at a table. What takes nothing more than it had is let through
without a word to the API server. The rest is reserved in each quota's ledger, all or nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies.model import Facts, PolicySet, Request, Violation
from policies.quota import budgets, verdicts
from policies.quota.charges import Charge
from policies.quota.ledger import Amounts, Hold, Short, key_of
from policies.quota.trees import Entry, is_apart
from policies.workloads import catalogue, pods, scaling
from policies.workloads.catalogue import Kind
from policies.workloads.controllers import CONTROLLERS
from webhook.apiserver import NotFound
from webhook.guard_rules import CLEANERS
from webhook.reserving import Busy, Found, Ledgers, Reservation
from webhook.review import Review
from webhook.watching_usage import UsageWatch

# The API server gives a request 60 s; what it hasn't stored by then it never will.
HOLD_SECONDS = 65
_STEP_SECONDS = 5
SCALE = "scale"
RESIZE = "resize"
_ZERO = Decimal(0)


class Recorder(Protocol):
    """Counts what became of reservations."""

    def reserved(self, policy: str, outcome: str) -> None:
        """Count a reservation: reserved, refused, busy."""
        ...


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What quotas say of one request."""

    violations: list[Violation] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    audits: list[Violation] = field(default_factory=list)

    def add(self, charge: Charge, found: Iterable[Violation]) -> None:
        """Say what doesn't fit as loudly as the policy wants."""
        for one in found:
            if charge.exempt:
                continue
            if charge.policy.enforcement == "Deny":
                self.violations.append(one)
            elif charge.policy.enforcement == "Warn":
                self.warnings.append(f"{one.policy}: {one.message}")
            else:
                self.audits.append(one)

    def take(self, other: Outcome) -> None:
        """Say what another outcome says, too."""
        self.violations += other.violations
        self.warnings += other.warnings
        self.audits += other.audits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request, as quotas see it: the object as it will be, and as it was."""

    request: Request
    kind: Kind
    new: tuple[Charge, ...]
    old: Mapping[str, Charge]  # by policy
    uid: str
    version: int  # of the old object; 0: there is none

    @property
    def name(self) -> str:
        """Name the object in a sentence."""
        metadata = self.request.object["metadata"]
        return str(
            metadata.get("name") or self.request.name or metadata.get("generateName") or "it"
        )


class Quotas:
    """Asks the ledgers, for one process."""

    def __init__(
        self, *, watch: UsageWatch, ledgers: Ledgers, recorder: Recorder, log: FilteringBoundLogger
    ) -> None:
        self._watch = watch
        self._ledgers = ledgers
        self._recorder = recorder
        self._log = log

    @property
    def unready(self) -> str:
        """Say why nothing can be held against a quota yet; nothing where it can."""
        return self._watch.unready

    async def admit(self, review: Review, policies: PolicySet, facts: Facts) -> Outcome:
        """Reserve what a request asks for, and say what doesn't fit."""
        outcome = Outcome()
        request = review.request
        if not policies.quotas or request.operation not in ("CREATE", "UPDATE"):
            return outcome
        asked = await self._asked(review, policies, replace(facts, now=time.time()))
        if asked is None:
            return outcome
        raised = list(_raised(asked))
        for charge in raised:
            outcome.add(charge, verdicts.alone(charge, asked.name, asked.kind.name))
        if outcome.violations:  # what else is too much is said at once, and nothing is reserved
            raised = [one for one in raised if not one.endless]
        await self._reserve(asked, raised, outcome, now=time.time())
        return outcome

    async def _asked(self, review: Review, policies: PolicySet, facts: Facts) -> _Asked | None:
        request = review.request
        known = catalogue.of(policies)
        if request.subresource == SCALE:
            found = await self._scaled(request, known)
            if found is None:
                return None
            request, kind = found
        else:
            if request.subresource not in ("", RESIZE):
                return None
            there = known.find(request.group, request.kind)
            if there is None:
                return None
            kind = there
        metadata = request.object.get("metadata") if isinstance(request.object, dict) else None
        if not isinstance(metadata, dict) or metadata.get("deletionTimestamp"):
            return None
        new = self._watch.charged.reviewed(replace(request, subresource=""), kind, policies, facts)
        if not new:
            return None
        old: Mapping[str, Charge] = {}
        before: Any = request.old_object if request.operation == "UPDATE" else None
        version = 0
        if _is_stored(before):
            entry = self._watch.entry(kind, before, policies, facts)
            old = self._before(entry, request, new)
            version = int(before["metadata"].get("resourceVersion") or 0)
        return _Asked(
            request=request,
            kind=kind,
            new=new,
            old=old,
            uid=str(metadata.get("uid") or review.uid),
            version=version,
        )

    def _before(
        self, entry: Entry, request: Request, new: Iterable[Charge]
    ) -> Mapping[str, Charge]:
        """
        Give what an object was charged with, but what its owner was in its place.

        Who leaves its owner makes room for another there, so it takes all that it asks for; unless
        the owner goes, whose controllers set free what stays.
        """
        if entry.owner in ("", _owner_uid(request.object["metadata"])):
            return entry.charges
        old = dict(entry.charges)
        if request.user.username in (*CONTROLLERS, *CLEANERS):
            old = {one.policy.name: one for one in new}
        found = {one: self._watch.usage.room(entry.owner, one, entry.namespace) for one in old}
        return {
            policy: one
            for policy, one in old.items()
            if not (room := found[policy]) or is_apart(one, room[0])
        }

    async def _scaled(
        self, request: Request, known: catalogue.Catalogue
    ) -> tuple[Request, Kind] | None:
        """Make a request for a scale one for the object that is scaled."""
        group, _, plural = request.resource.partition("/")
        plural = plural.rpartition("/")[2]
        kind = next(
            (one for one in known.kinds.values() if (one.group, one.plural) == (group, plural)),
            None,
        )
        if kind is None or not kind.scale:
            return None
        parent = await self._parent(request, kind)
        if parent is None:
            return None
        object_request = replace(
            request,
            group=kind.group,
            version=parent["apiVersion"].rpartition("/")[2],
            kind=kind.kind,
            subresource="",
            object=scaling.at(parent, kind, _replicas(request.object)),
            old_object=scaling.at(parent, kind, _replicas(request.old_object)),
        )
        return object_request, kind

    async def _parent(self, request: Request, kind: Kind) -> Any:
        api = self._ledgers.access.api
        base = f"/apis/{kind.group}" if kind.group else "/api"
        for version in reversed(kind.versions):
            path = f"{base}/{version}/namespaces/{request.namespace}/{kind.plural}/{request.name}"
            try:
                found = await self._ledgers.asked(
                    lambda path=path: api.ask("GET", path, what="what is scaled")  # type: ignore[misc]
                )
            except NotFound:
                continue
            return found
        return None

    # --- reserving ----------------------------------------------------------------------------

    async def _reserve(
        self, asked: _Asked, raised: list[Charge], outcome: Outcome, *, now: float
    ) -> None:
        """Reserve in every ledger or in none, and say what doesn't fit."""
        raised.sort(key=lambda one: one.policy.name)
        holds = [(one, await self._hold(asked, one, now)) for one in raised]
        reservations = [_reservation(one, hold, now) for one, hold in holds if hold]
        charges = [one for one, hold in holds if hold]
        if not reservations:
            return
        keep = not (asked.request.dry_run or outcome.violations)
        try:
            found = await self._ledgers.reserve(
                reservations, keep=keep, patient=not outcome.violations
            )
        except Busy as error:
            self._recorder.reserved(charges[0].policy.name, "busy")
            self._log.warning("nothing could be reserved in time", error=str(error))
            if not outcome.violations:  # as loudly as the strictest of them wants
                zipped = zip(reservations, charges, strict=True)
                strict = next((one for it, one in zipped if not it.anyway), charges[0])
                outcome.add(strict, [_try_again(strict, asked.name)])
            return
        for charge, short in zip(charges, found, strict=True):
            outcome.add(charge, self._sentences(asked, charge, short))
        self._count(charges, found, kept=keep and not outcome.violations)

    def _count(self, charges: list[Charge], found: Found, *, kept: bool) -> None:
        for charge, short in zip(charges, found, strict=True):
            if short or kept:
                self._recorder.reserved(charge.policy.name, "refused" if short else "reserved")

    def _sentences(
        self, asked: _Asked, charge: Charge, short: tuple[Short, ...]
    ) -> Iterator[Violation]:
        if not short:
            return iter(())
        holders = self._watch.usage.holders((charge.policy.name, charge.group))
        others = [one for one in holders if asked.version or one[0] != asked.name]
        return verdicts.over(charge, short, others, asked.name)

    async def _hold(self, asked: _Asked, charge: Charge, now: float) -> Hold | None:
        """Say what is to be held for a request; None: its owner was charged with all of it."""
        before = asked.old.get(charge.policy.name)
        counted: Amounts = {}
        if before is not None and before.group == charge.group:
            counted = before.amounts
        amounts = charge.amounts
        if asked.request.user.username in CONTROLLERS:
            beyond = await self._beyond_its_owner(asked, charge, before)
            if beyond is not None:  # what is counted of it is counted of its owner
                amounts, counted = beyond, {}
            if not any(amounts.values()):
                return None
        return Hold(
            key=key_of(asked.uid),
            asked=amounts,
            counted=counted,
            version=asked.version,
            until=_until(now),
        )

    async def _beyond_its_owner(
        self, asked: _Asked, charge: Charge, before: Charge | None
    ) -> Amounts | None:
        """Tell what the owner of an object wasn't charged with; None: there is no such owner."""
        request, policy = asked.request, charge.policy.name
        owner = _owner_uid(request.object["metadata"])
        if not owner:
            return None
        usage = self._watch.usage
        found = usage.room(owner, policy, request.namespace)
        if found is None:
            await self._look_for(asked, owner)
            found = usage.room(owner, policy, request.namespace)
        if found is None:
            return None
        _, left = found
        had = before.steady if before else {}
        over = {
            name: value - had.get(name, _ZERO) - left.get(name, _ZERO)
            for name, value in charge.steady.items()
        }
        return {name: value for name, value in over.items() if value > 0}

    async def _look_for(self, asked: _Asked, owner: str) -> None:
        """Read an owner that isn't in the table yet: its controller is faster than our watch."""
        metadata = asked.request.object["metadata"]
        kind, group, name = pods.controller(metadata)
        await self._watch.see(kind, group, asked.request.namespace, name, owner)


def _raised(asked: _Asked) -> Iterator[Charge]:
    """Give the charges that take more than before, or are another group's now."""
    for charge in asked.new:
        before = asked.old.get(charge.policy.name)
        if (
            before is None
            or before.group != charge.group
            or charge.endless - before.endless
            or any(
                value > before.amounts.get(name, _ZERO) for name, value in charge.amounts.items()
            )
        ):
            yield charge


def _reservation(charge: Charge, hold: Hold, now: float) -> Reservation:
    return Reservation(
        account=(charge.policy.name, charge.group),
        digest=charge.policy.digest,
        hold=hold,
        budget=budgets.of(charge.policy, charge.group, now),
        anyway=charge.exempt or charge.policy.enforcement != "Deny",
    )


def _until(now: float) -> int:
    """Say when a hold ends: at one of few moments, so that a ledger can write many together."""
    return -(-(int(now) + HOLD_SECONDS) // _STEP_SECONDS) * _STEP_SECONDS


def _try_again(charge: Charge, name: str) -> Violation:
    message = (
        f"{name} could not be counted against the budget of "
        f"{verdicts.who(charge.policy, charge.group)} in time; try again"
    )
    return Violation(policy=charge.policy.name, message=message)


def _owner_uid(metadata: Any) -> str:
    for one in metadata.get("ownerReferences") or ():
        if isinstance(one, dict) and one.get("controller") is True:
            return str(one.get("uid") or "")
    return ""


def _is_stored(obj: Any) -> bool:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("uid") and metadata.get("name"))


def _replicas(scale: Any) -> int:
    spec = scale.get("spec") if isinstance(scale, dict) else None
    found = spec.get("replicas") if isinstance(spec, dict) else None
    return found if isinstance(found, int) else 0
