from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench import pod, policies, webhook
from policies import engine, load
from policies.model import Facts
from webhook import review as codec


@pytest.mark.parametrize("count", policies.COUNTS)
def test_five_policies_apply_and_the_pod_passes_them(count: int) -> None:
    documents = [
        load.Document(file="p.json", number=number, value=value)
        for number, value in enumerate(policies.objects(count), 1)
    ]
    known = load.policy_set(documents, base=load.library())
    request = codec.decode(orjson.dumps(pod.REVIEW)).request

    decision = engine.review(request, known, Facts())

    applied = {policy.partition("@")[0] for policy in decision.provenance}
    assert len(known.guards) + len(known.injections) - len(load.library().injections) == count
    assert applied & {one.name for one in known.injections} >= {"team", "vision", "workers"}
    assert policies.received(decision.object) == []
    assert decision.violations == ()


def test_measures_both_endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    report = policies.run(webhook.Options(seconds=0.3, rounds=1, directory=tmp_path))

    assert {count: set(one) for count, one in report.items()} == {
        "10": {"validate", "mutate"},
        "100": {"validate", "mutate"},
        "1000": {"validate", "mutate"},
    }
    assert all(figure > 0 for one in report.values() for figure in one.values())
