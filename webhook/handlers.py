"""
What is done with a call: read it, ask the engine, answer, count, log.

`/mutate` never refuses and `/validate` never changes. HTTP 200 is an answer about the object;
4xx and 5xx say that the call was bad or that we were, and `failurePolicy` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter, time
from typing import Protocol

import orjson
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from policies import engine
from policies.model import Decision, Facts, PolicySet, Request, Violation
from webhook import review as codec
from webhook import verdicts
from webhook.errors import BadCall, NotReady
from webhook.facts import FactsSource
from webhook.settings import Limits

MAX_LOGGED = 253  # a Kubernetes name's length; whoever sends more is cut in the log

_NO_REVIEW = codec.Review("", Request(operation="", group="", version="", kind=""))


class PolicySource(Protocol):
    """Holds the policies in force."""

    @property
    def current(self) -> PolicySet:
        """Give the set in force, or raise NotReady."""
        ...

    @property
    def unready(self) -> str:
        """Say why there is none yet; nothing where there is."""
        ...


class Recorder(Protocol):
    """Counts what was answered."""

    def review(
        self, endpoint: str, *, kind: str, operation: str, outcome: str, seconds: float
    ) -> None:
        """Count one answer."""
        ...

    def injected(self, policies: list[str]) -> None:
        """Count an object that these policies changed."""
        ...

    def judged(self, verdicts: list[tuple[str, str]], expired: list[str]) -> None:
        """Count what guards found, and exceptions whose time is over."""
        ...


class Quotas(Protocol):
    """Reserves what a request asks for."""

    @property
    def unready(self) -> str:
        """Say why nothing can be reserved yet; nothing where it can."""
        ...

    async def admit(self, review: codec.Review, policies: PolicySet, facts: Facts) -> QuotaOutcome:
        """Reserve, and say what doesn't fit."""
        ...


class QuotaOutcome(Protocol):
    """What quotas say of one request."""

    violations: list[Violation]
    warnings: list[str]
    audits: list[Violation]


@dataclass(slots=True)
class Readiness:
    """Whether the API server should send reviews, and why not."""

    reason: str = "policies are not loaded yet"  # empty: ready
    draining: bool = False

    def drain(self) -> None:
        """Send clients away: each answer closes its connection from now on."""
        self.reason = "draining"
        self.draining = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and what is said of it in the log."""

    body: bytes
    outcome: str  # allowed, patched, denied, errored
    status: int = 200
    policies: list[str] = field(default_factory=list)
    patch_operations: int = 0
    warnings: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """Answers reviews at one endpoint."""

    endpoint: str
    answer: Callable[[codec.Review, Decision], Answer]
    policies: PolicySource
    facts: FactsSource
    recorder: Recorder
    readiness: Readiness
    log: FilteringBoundLogger
    limits: Limits
    quotas: Quotas | None = None  # at /validate of a cluster

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one call, whatever it is; this is where every exception ends."""
        started = perf_counter()
        review = _NO_REVIEW
        try:
            body = await read_body(request, self.limits)
            review = codec.decode(body)
            answer = await self._decide(review)
        except BadCall as bad:
            answer = _errored(bad.status, bad.message, uid=bad.uid)
        except NotReady as early:
            answer = _errored(503, str(early), uid=review.uid)
        except Exception:
            self.log.exception("a review failed", uid=review.uid)
            answer = _errored(500, "the webhook failed; its log says why", uid=review.uid)
        self._record(review, answer, perf_counter() - started)
        response = web.Response(
            body=answer.body, status=answer.status, content_type="application/json"
        )
        if answer.status == 405:
            response.headers["Allow"] = "POST"
        if answer.status == 408 or self.readiness.draining:
            response.force_close()
        return response

    async def _decide(self, review: codec.Review) -> Answer:
        request = review.request
        facts = await self.facts.facts_for(request)
        policies = self.policies.current
        if policies.exceptions:  # the one thing that asks for the time
            facts = replace(facts, now=time())
        decision = engine.review(request, policies, facts)
        if policies.guards and self.endpoint == "validate":
            found = verdicts.of(decision, policies.guards)
            self.recorder.judged(found, verdicts.expired(decision))
        if self.quotas and policies.quotas and not (decision.violations or decision.missed):
            decision = _with_quotas(decision, await self.quotas.admit(review, policies, facts))
        return self.answer(review, decision)

    def _record(self, review: codec.Review, answer: Answer, seconds: float) -> None:
        request = review.request
        self.recorder.review(
            self.endpoint,
            kind=request.kind,
            operation=request.operation,
            outcome=answer.outcome,
            seconds=seconds,
        )
        if answer.outcome == "patched":
            self.recorder.injected(answer.policies)
        details = {"error": answer.error, "status": answer.status} if answer.error else {}
        self.log.info(
            "review",
            endpoint=self.endpoint,
            uid=review.uid[:MAX_LOGGED],
            kind=request.kind[:MAX_LOGGED],
            operation=request.operation,
            namespace=request.namespace[:MAX_LOGGED],
            name=request.name[:MAX_LOGGED],
            user=request.user.username[:MAX_LOGGED],
            dry_run=request.dry_run,
            outcome=answer.outcome,
            policies=answer.policies,
            patch_operations=answer.patch_operations,
            warnings=answer.warnings,
            duration_ms=round(seconds * 1000, 3),
            **details,
        )


def _with_quotas(decision: Decision, found: QuotaOutcome) -> Decision:
    return replace(
        decision,
        violations=(*decision.violations, *found.violations),
        warnings=(*decision.warnings, *found.warnings),
        audits=(*decision.audits, *found.audits),
    )


# --- the two endpoints ---------------------------------------------------------------------


def mutation(review: codec.Review, decision: Decision) -> Answer:
    """Answer `/mutate`: the patch, if there is one; never a refusal."""
    warnings, patch = decision.warnings, decision.patch
    audit = _previews(decision) if decision.preview else None
    if not patch:
        body = codec.allowed(review.uid, warnings=warnings, audit=audit)
        return Answer(body, "allowed", warnings=len(warnings))
    return Answer(
        codec.patched(review.uid, patch, warnings=warnings, audit=audit),
        "patched",
        policies=[_name(policy) for policy in decision.provenance],
        patch_operations=len(patch),
        warnings=len(warnings),
    )


def validation(review: codec.Review, decision: Decision) -> Answer:
    """Answer `/validate`: every reason to refuse, sorted, one line each."""
    warnings = (*decision.warnings, *decision.unheard)
    refusals = (*decision.violations, *decision.missed)
    audit = _audit(decision) if decision.preview or decision.audits else None
    if not refusals:
        body = codec.allowed(review.uid, warnings=warnings, audit=audit)
        return Answer(body, "allowed", warnings=len(warnings))
    return Answer(
        codec.denied(review.uid, _status(review, refusals), warnings=warnings, audit=audit),
        "denied",
        policies=sorted({refusal.policy for refusal in refusals}),
        warnings=len(warnings),
    )


def _status(review: codec.Review, refusals: tuple[Violation, ...]) -> codec.Status:
    unusable = all(refusal.code == 422 for refusal in refusals)
    reasons = {refusal.reason for refusal in refusals}
    shared = reasons.pop() if len(reasons) == 1 else ""
    lines = sorted({f"{refusal.policy}: {codec.one_line(refusal.message)}" for refusal in refusals})
    return {
        "code": 422 if unusable else 403,
        "message": "\n".join([*lines, f"see: kubectl ml explain {_explained(review)}"]),
        "reason": shared or ("Invalid" if unusable else "Forbidden"),
    }


def _explained(review: codec.Review) -> str:
    request = review.request
    if request.operation != "UPDATE" or not request.name:
        return "-f FILE"
    kind = request.kind.lower()
    if request.subresource and request.resource:  # a Scale names no kind
        group, _, plural = request.resource.split("/")
        kind = ".".join(filter(None, [plural, group]))
    return f"{kind}/{request.name}"


def _audit(decision: Decision) -> dict[str, str]:
    found = dict(_previews(decision))
    for one in decision.audits:
        key = codec.audit_key(f"guard.{one.policy}")
        found[key] = "; ".join(filter(None, [found.get(key), codec.one_line(one.message)]))
    return found


def _previews(decision: Decision) -> Mapping[str, str]:
    return {
        codec.audit_key(f"preview.{_name(policy)}"): ", ".join(pointers)
        for policy, pointers in decision.preview.items()
    }


def _name(policy: str) -> str:
    return policy.partition("@")[0]


def _errored(status: int, message: str, *, uid: str) -> Answer:
    return Answer(codec.errored(status, message, uid=uid), "errored", status=status, error=message)


# --- the body ------------------------------------------------------------------------------


async def read_body(request: web.Request, limits: Limits) -> bytes:
    """Read the body of a call that can be a review, or raise BadCall."""
    if request.method != "POST":
        raise BadCall(405, f"{request.method} is not allowed here; POST an AdmissionReview")
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_large(limits)
    body = await _read(request, limits)
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise BadCall(415, "Content-Encoding is not understood; send the review as it is")
    if request.content_type != "application/json":
        message = f'Content-Type is "{request.content_type}"; it must be "application/json"'
        raise BadCall(415, codec.one_line(message), uid=_uid_in(body))
    return body


async def _read(request: web.Request, limits: Limits) -> bytes:
    content = request.content
    if content.is_eof():  # the usual case: it came with the headers
        return content.read_nowait()
    chunks = bytearray()
    try:
        async with asyncio.timeout(limits.client_seconds):
            while chunk := await content.readany():
                chunks += chunk
                if len(chunks) > limits.body_bytes:
                    raise _too_large(limits)
    except TimeoutError as error:
        message = f"the body did not arrive within {limits.client_seconds:g} s"
        raise BadCall(408, message) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BadCall(400, f"the body could not be read: {error}") from error
    return bytes(chunks)


def _too_large(limits: Limits) -> BadCall:
    return BadCall(413, f"the body is larger than {limits.body_bytes} bytes")


def _uid_in(body: bytes) -> str:
    try:
        return codec.uid_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        return ""
