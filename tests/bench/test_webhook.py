from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench import pod, webhook
from policies import engine, load
from policies.model import Facts
from webhook import handlers
from webhook import review as codec


def test_the_review_has_the_size_of_a_typical_one() -> None:
    assert 2700 < len(orjson.dumps(pod.REVIEW)) < 2900


def test_the_built_in_library_gives_the_pod_everything_that_is_measured() -> None:
    review = codec.decode(orjson.dumps(pod.REVIEW))
    decision = engine.review(review.request, load.library(), Facts())

    assert pod.missing(handlers.mutation(review, decision).body) == []


def test_an_answer_without_a_patch_is_not_measured() -> None:
    assert pod.missing(codec.allowed(pod.UID)) == [
        "a device",
        "a toleration",
        "two volumes",
        "two mounts",
        "two variables",
        "a sidecar",
    ]


def test_measures_without_wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    report = webhook.run(webhook.Options(seconds=0.3, rounds=1, directory=tmp_path))

    assert report["load"] == "built-in client"
    assert 0 < report["ratio"] < 1.2
    for server in ("empty", "webhook"):
        assert all(figure > 0 for figure in report[server].values())
