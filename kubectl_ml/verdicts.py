"""
The webhook's verdict on one object, without a webhook.

As at admission, the object is injected first and then judged: what `/validate` would see is what
`/mutate` made. The sentences are those of `/validate`, `POLICY: sentence`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies import engine
from policies.model import Decision, Facts, PolicySet, Request, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would be said of one object."""

    refused: tuple[str, ...]
    warned: tuple[str, ...]
    audited: tuple[str, ...]
    policies: tuple[str, ...]  # that refuse

    @property
    def word(self) -> str:
        """Say it in a word."""
        if self.refused:
            return "Deny"
        return "Warn" if self.warned else "Audit" if self.audited else "Allow"


def of(request: Request, policies: PolicySet, facts: Facts) -> Verdict:
    """Judge the object of a request as the webhook would."""
    made = engine.review(request, policies, facts)
    judged = engine.review(replace(request, object=made.object), policies, facts)
    refusals = (*judged.violations, *judged.missed)
    return Verdict(
        refused=tuple(sorted({line(one) for one in refusals})),
        warned=_warnings(made, judged),
        audited=tuple(sorted({line(one) for one in judged.audits})),
        policies=tuple(sorted({one.policy for one in refusals})),
    )


def line(violation: Violation) -> str:
    """Write a violation as `/validate` does, on one line."""
    message = "".join(one if one.isprintable() else " " for one in violation.message)
    return f"{violation.policy}: {message}"


def _warnings(made: Decision, judged: Decision) -> tuple[str, ...]:
    """Give the warnings of both calls, each once, as a terminal shows them."""
    texts = dict.fromkeys((*made.warnings, *judged.warnings))
    return tuple("".join(one if one.isprintable() else " " for one in text) for text in texts)
