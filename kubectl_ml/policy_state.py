"""In which state a policy is: in force, expired, or left out and why."""

from __future__ import annotations

from kubectl_ml import policy_objects, policy_words
from kubectl_ml.policy_objects import Held
from policies import load


def of(one: Held, now: float) -> tuple[str, str]:
    """Say in which state an object is, and why it isn't ready."""
    faults = load.judged(one.manifest) if one.origin == policy_objects.CLUSTER else ()
    if faults:
        return "NotReady", "; ".join(fault.sentence for fault in faults)
    if one.kind == "PolicyException" and policy_words.is_expired(one.spec, now):
        return "Expired", f"{policy_words.until(one.spec, now)}; renew it or delete it"
    if one.origin != policy_objects.CLUSTER:
        return "Ready", ""
    status = one.manifest.get("status") or {}
    ready = [each for each in status.get("conditions") or () if each.get("type") == "Ready"]
    if not ready:
        return "Unknown", "no webhook has said what became of it"
    if ready[0].get("status") == "True":
        return "Ready", ""
    return "NotReady", " ".join(str(ready[0].get("message") or ready[0].get("reason")).split())
