"""
How long the hostile expressions of the tests hold up a review until their budget ends them.

While an expression runs the process answers nobody, so the slowest one is the longest that a rule
can make everybody wait.
"""

from __future__ import annotations

import time
from typing import Any

from policies import engine, load
from policies.model import Facts, PolicySet, Request


def run(*, rounds: int) -> dict[str, Any]:
    """Review an object that helps them with each, and tell the slowest: name and milliseconds."""
    from tests.policies.cost.hostile import HOSTILE_POD, STOPPED  # where the tests are

    asked = Request(
        operation="CREATE", group="", version="v1", kind="Pod", resource="/v1/pods",
        namespace="ml", name="a", object=HOSTILE_POD, old_object=None,
    )  # fmt: skip
    took = {
        name: min(_milliseconds(known, asked) for _ in range(rounds))
        for name, known in ((name, _guard(text)) for name, text in STOPPED.items())
    }
    slowest = max(took, key=took.__getitem__)
    return {"expressions": len(took), "slowest": slowest, "slowest_ms": round(took[slowest], 1)}


def _guard(expression: str) -> PolicySet:
    rules = [{"expression": expression, "message": "No."}]
    value = {"kind": "GuardPolicy", "metadata": {"name": "hostile"}, "spec": {"rules": rules}}
    return load.policy_set([load.Document(file="hostile.yaml", number=0, value=value)])


def _milliseconds(known: PolicySet, asked: Request) -> float:
    began = time.thread_time()
    engine.review(asked, known, Facts())
    return (time.thread_time() - began) * 1000
