"""
Knative Serving: its webhook takes what we make and refuses no more than we said before it; the
pods of its Revisions are as foretold.

Neither its autoscaler nor an ingress runs, so no Route becomes ready and nothing scales.
"""

from typing import Any

import pytest

from policies import engine, load
from policies.model import Facts, Request
from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest
from tests.e2e.operators import annotations, foretold

SERVING = "serving.knative.dev/v1"
IMAGE = "registry.example.com/train:1"
EVERYTHING = {
    "accelerator": "a100:1",
    "scale": "min=1,max=3,target=10",
    "mounts": "scratch://1Gi:/s",
    "sidecars": "logs",
    "shm": "1Gi",
}
WANTED = [*([key] for key in EVERYTHING), list(EVERYTHING)]
# Knative takes them and nothing good comes of it, so we are stricter: a bound that is no number,
# and a deadline of nothing, with which no Deployment is valid.
STRICTER = ("nan", "inf", "0", "0s", "-0s")


def template(own: dict[str, str] | None = None) -> Manifest:
    """Write a Revision's template."""
    main = {"image": IMAGE, "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    return {"metadata": {"annotations": own or {}}, "spec": {"containers": [main]}}


def serving(kind: str = "Service", own: dict[str, str] | None = None, **wanted: str) -> Manifest:
    """Write what has a Revision's template, with intents."""
    return {
        "apiVersion": SERVING,
        "kind": kind,
        "metadata": {"name": "bert", "annotations": acting.intents(**wanted)},
        "spec": {"template": template(own)},
    }


def others() -> list[Manifest]:
    """Write the kinds that have no template."""
    route = {"traffic": [{"configurationName": "bert", "percent": 100}]}
    mapped = {"ref": {"apiVersion": SERVING, "kind": "Service", "name": "bert"}}
    return [
        {"apiVersion": SERVING, "kind": "Route", "metadata": {"name": "bert"}, "spec": route},
        {
            "apiVersion": "serving.knative.dev/v1beta1",
            "kind": "DomainMapping",
            "metadata": {"name": "bert.example.com"},
            "spec": mapped,
        },
    ]


# --- what its webhook takes -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Service", "Configuration"])
@pytest.mark.parametrize(
    "intents", [*([key] for key in EVERYTHING), list(EVERYTHING)], ids=",".join
)
def test_its_webhook_takes_every_intent_by_admission(enabled: Place, kind: str, intents: list[str]):
    wanted = {key: EVERYTHING[key] for key in intents}

    enabled.apply(serving(kind, **wanted), flags=("--dry-run=server",))


@pytest.mark.parametrize("kind", ["Service", "Configuration"])
@pytest.mark.parametrize(
    "intents", [*([key] for key in EVERYTHING), list(EVERYTHING)], ids=",".join
)
def test_its_webhook_takes_every_intent_rendered(plain: Place, kind: str, intents: list[str]):
    wanted = {key: EVERYTHING[key] for key in intents}

    manifest = foretold.folded(plain, serving(kind, **wanted))

    plain.apply(manifest, flags=("--dry-run=server",))


@pytest.mark.parametrize("stage", ["template", "admission"])
def test_a_revision_of_its_own_is_taken(plain: Place, stage: str):
    made = {"apiVersion": SERVING, "kind": "Revision", **template()}
    made["metadata"] = {"name": "bert-1", "annotations": acting.intents(accelerator="a100:1")}
    rendered = plain.kubectl(*("ml", "render", "-f", "-", "-ojson", f"--stage={stage}"), stdin=made)

    plain.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)


@pytest.mark.parametrize("manifest", others(), ids=lambda it: it["kind"])
def test_kinds_without_a_template_stay_as_they_are(enabled: Place, manifest: Manifest):
    enabled.apply(manifest, flags=("--dry-run=server",))

    assert foretold.folded(enabled, manifest) == manifest


def test_it_refuses_what_we_leave_to_the_pods(plain: Place):
    manifest = serving()
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}

    refused = plain.try_apply(manifest, flags=("--dry-run=server",))

    assert "must not set the field(s): spec.template.spec.nodeSelector" in refused.stderr


# --- what it refuses --------------------------------------------------------------------------


def said(manifest: Manifest) -> tuple[str, ...]:
    """Ask the engine what it warns of before Knative sees an object."""
    request = Request(
        operation="CREATE",
        group="serving.knative.dev",
        version="v1",
        kind="Service",
        namespace="ml",
        name="bert",
        object=manifest,
    )
    found = engine.review(request, load.library(), Facts()).warnings
    return tuple(one for one in found if "Knative refuses" in one or "taken only where" in one)


def refusal(place: Place, manifest: Manifest) -> str:
    """Ask Knative, through the API server, what it refuses of an object."""
    path = f"/apis/{SERVING}/namespaces/{place.name}/services?dryRun=All"
    answer = place.admin.request("POST", path, manifest)
    return "" if answer.ok else str(answer.body["message"])


def is_stricter(own: dict[str, str], theirs: str) -> bool:
    """Tell whether only we refuse it, and mean to."""
    [value, *more] = own.values()
    return not theirs and not more and value.lower() in STRICTER


def test_its_verdicts_on_scaling_are_ours(plain: Place):
    verdicts: list[Any] = []
    for own in annotations.table():
        manifest = serving(own=own)
        theirs, ours = refusal(plain, manifest), said(manifest)
        if bool(theirs) != bool(ours) and not is_stricter(own, theirs):
            verdicts.append((own, theirs, ours))

    assert verdicts == []


@pytest.mark.parametrize(
    "own",
    [
        {"autoscaling.knative.dev/min-scale": "1"},
        {"serving.knative.dev/rollout-duration": "1500ms"},
        {"serving.knative.dev/rolloutDuration": "-5s"},
        {"serving.knative.dev/rollout-duration": "380s"},
        {"serving.knative.dev/rollout-duration": ""},
    ],
    ids=str,
)
def test_its_verdicts_on_the_object_are_ours(plain: Place, own: dict[str, str]):
    manifest = serving()
    manifest["metadata"]["annotations"] = own

    assert bool(refusal(plain, manifest)) == bool(said(manifest))


def test_an_intent_that_contradicts_the_users_own_is_refused(enabled: Place):
    own = {"autoscaling.knative.dev/max-scale": "2"}

    refused = enabled.try_apply(serving(own=own, scale="min=5"), flags=("--dry-run=server",))

    # Both refuse it, at the same time: which sentence comes first is up to the API server.
    assert "max-scale=2 is less than min-scale=5" in refused.stderr


# --- the pods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Service", "Configuration"])
def test_its_pods_carry_what_was_foretold(enabled: Place, kind: str):
    manifest = serving(kind, accelerator="a100:2", shm="1Gi", scale="min=1,max=3,initial=1")
    expected = foretold.demand(enabled, manifest)
    enabled.apply(manifest)

    [pod] = enabled.pods(1, lambda it: it["spec"].get("nodeName"))

    assert expected["pods"] == 1
    assert foretold.devices([pod]) == int(expected["requests"][foretold.CLASS]) == 2
    assert pod["spec"]["nodeName"] == "gpu-a100-0"
    [main, proxy] = pod["spec"]["containers"]
    assert (main["name"], proxy["name"]) == ("user-container", "queue-proxy")
    assert {"name": "dshm", "mountPath": "/dev/shm"} in main["volumeMounts"]  # noqa: S108 -- in a pod
