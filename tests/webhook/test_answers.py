"""What the two endpoints answer to reviews that are in order."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jsonpatch
import orjson
import pytest

from tests.webhook import serving
from tests.webhook.reviews import UID, deployment, intents, pod, review

SECRET = "hunter2-do-not-log"  # noqa: S105 -- looked for in the log


def patched(response: dict[str, Any], subject: Any) -> Any:
    patch = orjson.loads(base64.b64decode(response["patch"]))
    return jsonpatch.apply_patch(subject, patch)


def test_mutate_answers_with_a_patch(served: serving.Served) -> None:
    subject = pod(intents(accelerator="a100:2"))

    response = served.mutate(review(subject))

    assert (response["uid"], response["allowed"], response["patchType"]) == (UID, True, "JSONPatch")
    container = patched(response, subject)["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_mutate_says_nothing_more_where_nothing_changes(served: serving.Served) -> None:
    assert served.mutate(review(pod())) == {"uid": UID, "allowed": True}


def test_mutate_twice_changes_nothing_more(served: serving.Served) -> None:
    subject = pod(intents(accelerator="a100:2"))
    once = patched(served.mutate(review(subject)), subject)

    assert "patch" not in served.mutate(review(once))


def test_validate_alone_warns_of_what_another_injector_has_missed(served: serving.Served) -> None:
    subject = pod(intents(mesh="true"))
    first = served.mutate(review(subject))
    once = patched(first, subject)

    again, last = served.mutate(review(once)), served.validate(review(once))

    assert "warnings" not in first
    assert "warnings" not in again
    assert last["allowed"] is True
    assert last["warnings"] == [
        "mesh: Istio saw this bare pod before its label was there, and added no proxy; write the "
        'label sidecar.istio.io/inject: "true" yourself, or use a Deployment or a Job'
    ]


def test_mutate_never_refuses(served: serving.Served) -> None:
    response = served.mutate(review(pod(intents(accelerator="a1000000"))))

    assert response["allowed"] is True


def test_validate_refuses_an_unusable_intent_and_says_where_to_look(
    served: serving.Served,
) -> None:
    response = served.validate(review(pod(intents(accelerator="a100:0"))))

    assert (response["uid"], response["allowed"]) == (UID, False)
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    *lines, last = response["status"]["message"].splitlines()
    assert last == "see: kubectl ml explain -f FILE"
    assert lines == sorted(lines)
    assert all(": " in line for line in lines)


def test_validate_names_the_object_on_update(served: serving.Served) -> None:
    was = deployment(intents(accelerator="a100"))
    now = deployment(intents(accelerator="a100:0"))

    response = served.validate(review(now, operation="UPDATE", oldObject=was))

    assert response["allowed"] is False
    last = response["status"]["message"].splitlines()[-1]
    assert last == "see: kubectl ml explain deployment/train"


def test_validate_refuses_a_missed_injection_as_a_policy(served: serving.Served) -> None:
    response = served.validate(review(pod(intents(accelerator="a100"))))

    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (403, "Forbidden")
    assert "injection was missed, try again" in response["status"]["message"]


def test_validate_lets_what_was_injected_in(served: serving.Served) -> None:
    subject = pod(intents(accelerator="a100"))
    injected = patched(served.mutate(review(subject)), subject)

    assert served.validate(review(injected)) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
def test_deletions_are_let_through(served: serving.Served, path: str) -> None:
    deletion = review(None, operation="DELETE", oldObject=pod(intents(accelerator="a100")))

    status, body = served.call(path, deletion)

    assert (status, body["response"]) == (200, {"uid": UID, "allowed": True})


def test_a_preview_is_told_in_audit_annotations_only(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "preview.yaml").write_text(
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: InjectionPolicy\nmetadata: {name: team}\n"
        "spec: {mode: Preview, inject: {labels: {team: ml}}}\n"
    )
    with serving.webhook(tmp_path, f"--policies={policies}") as served:
        response = served.mutate(review(pod()))

    assert "patch" not in response
    assert response["auditAnnotations"] == {"preview.team": "/metadata/labels/team"}


def test_health(served: serving.Served) -> None:
    for path, body in (("/healthz", {"healthy": True}), ("/readyz", {"ready": True})):
        assert served.call(path, method="GET") == (200, body)
        assert served.call(path, method="HEAD") == (200, None)


def test_a_query_is_no_other_path(served: serving.Served) -> None:
    status, _ = served.call("/mutate?timeout=2s", review(pod()))

    assert status == 200


def test_a_line_is_logged_for_each_decision_without_values(served: serving.Served) -> None:
    subject = pod(intents(accelerator="a100"))
    subject["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": SECRET}]

    served.mutate(review(subject, uid="look-for-me", dryRun=True))

    line = serving.until(lambda: [x for x in served.events("review") if x["uid"] == "look-for-me"])
    said = dict(line[0])
    assert said.pop("time").endswith("Z")
    assert 0 < said.pop("duration_ms") < 1000
    assert said.pop("patch_operations") > 0
    assert "devices" in said.pop("policies")
    assert said == {
        "event": "review",
        "level": "info",
        "endpoint": "mutate",
        "uid": "look-for-me",
        "kind": "Pod",
        "operation": "CREATE",
        "namespace": "ml",
        "name": "train",
        "user": "jane",
        "dry_run": True,
        "outcome": "patched",
        "warnings": 0,
    }
    assert SECRET not in served.log.read_text()


def test_reviews_are_counted(served: serving.Served) -> None:
    sample = (
        'kubectl_ml_reviews_total{endpoint="mutate",kind="Pod",operation="CREATE",outcome="%s"}'
    )
    injections = 'kubectl_ml_injections_total{policy="devices"}'
    durations = 'kubectl_ml_review_duration_seconds_count{endpoint="mutate"}'
    names = (sample % "patched", sample % "allowed", injections, durations)
    before = [served.metric(name) for name in names]

    served.mutate(review(pod(intents(accelerator="a100"))))
    served.mutate(review(pod()))

    after = [served.metric(name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 2]
    assert "process_resident_memory_bytes" in served.metrics()
    assert served.metric('kubectl_ml_policies{kind="Accelerator"}') > 30


def test_kinds_in_metrics_are_bounded(served: serving.Served) -> None:
    for number in range(300):
        unknown = {"kind": f"Kind{number}", "group": "example.com", "version": "v1"}
        served.mutate(review(pod(), kind=unknown))
    served.mutate(review(pod(), kind={"kind": 'no kind"', "group": "", "version": "v1"}))

    kinds = {
        line.split('kind="')[1].split('"')[0]
        for line in served.metrics().splitlines()
        if line.startswith("kubectl_ml_reviews_total")
    }
    assert "other" in kinds
    assert len(kinds) <= 202
