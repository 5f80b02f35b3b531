"""What guards found is counted by guard and verdict, at /validate alone."""

from __future__ import annotations

from pathlib import Path

from tests.webhook import serving
from tests.webhook.reviews import pod, review

GUARD = """
apiVersion: kubectl-ml.io/v1alpha1
kind: GuardPolicy
metadata: {{name: {name}}}
spec:
  enforcement: {enforcement}
  rules: [{{expression: "false", message: No.}}, {{expression: "false", message: Never.}}]
---
"""
EXCEPTION = """
apiVersion: kubectl-ml.io/v1alpha1
kind: PolicyException
metadata: {name: over}
spec: {policies: [hard], reason: a demo, expires: "2020-01-01T00:00:00Z"}
"""


def test_verdicts_and_expired_exceptions_are_counted(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    enforcements = {"hard": "Deny", "soft": "Warn", "silent": "Audit"}
    guards = [GUARD.format(name=name, enforcement=one) for name, one in enforcements.items()]
    (policies / "guards.yaml").write_text("".join(guards) + EXCEPTION)

    with serving.webhook(tmp_path, "--offline", f"--policies={policies}") as served:
        serving.until(lambda: served.call("/readyz", method="GET")[0] == 200)
        served.mutate(review(pod()))
        served.validate(review(pod()))
        served.validate(review(pod()))
        found = {
            line
            for line in served.metrics().splitlines()
            if line.startswith(
                ("kubectl_ml_guard_verdicts_total", "kubectl_ml_exceptions_expired_t")
            )
        }

    assert found == {
        'kubectl_ml_guard_verdicts_total{policy="hard",verdict="denied"} 2.0',
        'kubectl_ml_guard_verdicts_total{policy="soft",verdict="warned"} 2.0',
        'kubectl_ml_guard_verdicts_total{policy="silent",verdict="audited"} 2.0',
        'kubectl_ml_exceptions_expired_total{exception="over"} 2.0',
    }
