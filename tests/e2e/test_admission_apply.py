"""Applying: twice, server-side, as a dry run; whose fields are whose."""

import json
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane.client import Manifest

WANTED = {"accelerator": "a100:2", "sidecars": "logs", "mounts": "scratch://1Gi:/work"}
SERVER_SIDE = ("--server-side", "--field-manager=ada")
MANIFESTS = [
    pytest.param(acting.pod(**WANTED), id="Pod"),
    pytest.param(acting.deployment(**WANTED), id="Deployment"),
    pytest.param(acting.stateful_set(**WANTED), id="StatefulSet"),
    pytest.param(acting.daemon_set(**WANTED), id="DaemonSet"),
    pytest.param(acting.job(**WANTED), id="Job"),
    pytest.param(acting.cron_job(**WANTED), id="CronJob"),
]


def settled(place: Place, manifest: Manifest) -> Any:
    """Read an object when its controller has seen it, without what controllers write."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    made = place.get(kind, name)
    made.pop("status", None)
    for member in ("resourceVersion", "managedFields"):
        made["metadata"].pop(member)
    made["metadata"]["annotations"].pop("deployment.kubernetes.io/revision", None)
    made["metadata"].pop("finalizers", None)
    made["spec"].pop("nodeName", None)
    return made


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_applying_twice_changes_nothing_and_diff_is_empty(enabled: Place, manifest: Manifest):
    enabled.apply(manifest)
    before = settled(enabled, manifest)

    said = enabled.try_apply(manifest)

    assert (said.returncode, said.stderr) == (0, "")
    assert enabled.diff(manifest) == (0, "")
    assert settled(enabled, manifest) == before


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_applying_twice_on_the_server_side_changes_nothing_and_diff_is_empty(
    enabled: Place, manifest: Manifest
):
    enabled.apply(manifest, flags=SERVER_SIDE)
    before = settled(enabled, manifest)

    said = enabled.try_apply(manifest, flags=SERVER_SIDE)

    assert (said.returncode, said.stderr) == (0, "")
    assert enabled.diff(manifest, flags=SERVER_SIDE) == (0, "")
    assert settled(enabled, manifest) == before


def test_a_client_side_apply_goes_over_to_the_server_side(enabled: Place):
    manifest = acting.deployment(**WANTED)
    enabled.apply(manifest)
    before = settled(enabled, manifest)

    said = enabled.try_apply(manifest, flags=("--server-side",))

    after = settled(enabled, manifest)
    assert said.returncode == 0, said.stderr
    assert after["spec"] == before["spec"]
    assert acting.of(after, "generation") == (1,)


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_an_applier_owns_what_it_applied_and_no_more(enabled: Place, manifest: Manifest):
    enabled.apply(manifest, flags=SERVER_SIDE)

    made = enabled.get(manifest["kind"], manifest["metadata"]["name"])

    owned = next(
        each["fieldsV1"] for each in made["metadata"]["managedFields"] if each["manager"] == "ada"
    )
    written = fields(manifest["metadata"].get("annotations", {}))
    assert owned["f:metadata"]["f:annotations"].keys() - {"."} == written
    assert acting.INJECTED not in json.dumps(owned)
    assert "nvidia.com/gpu" not in json.dumps(owned)


def fields(members: Any) -> set[str]:
    return {f"f:{name}" for name in members}


def test_another_applier_takes_over_nothing_of_ours(enabled: Place):
    enabled.apply(acting.deployment(**WANTED), flags=SERVER_SIDE)
    before = settled(enabled, acting.deployment())
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "many", "labels": {"stage": "prod"}},
    }

    enabled.apply(other, flags=("--server-side", "--field-manager=other"))

    after = settled(enabled, acting.deployment())
    assert after["metadata"].pop("labels") == {"stage": "prod"}
    assert after == before


def test_an_applier_who_stops_to_ask_takes_its_intents_and_what_they_brought(enabled: Place):
    enabled.apply(acting.deployment(**WANTED), flags=SERVER_SIDE)

    enabled.apply(acting.deployment(), flags=SERVER_SIDE)

    made = enabled.get("Deployment", "many")
    assert acting.carried(made) == {}
    assert acting.INJECTED not in json.dumps(made["metadata"].get("annotations", {}))


def test_an_intent_edited_on_the_server_side_is_followed(enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100:2"), flags=SERVER_SIDE)

    enabled.apply(acting.deployment(accelerator="a100:4"), flags=SERVER_SIDE)

    assert acting.carried(enabled.get("Deployment", "many")) == {"accelerator": "a100:4"}


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_dry_run_shows_what_apply_then_makes(enabled: Place, manifest: Manifest):
    flags = ("--dry-run=server", "-ojson")
    foretold = json.loads(enabled.apply(manifest, flags=flags))
    there = enabled.all(manifest["kind"])

    made = json.loads(enabled.apply(manifest, flags=("-ojson",)))

    assert there == []
    assert acting.of(foretold, "annotations") == acting.of(made, "annotations")
    assert carriers(foretold) == carriers(made)


def carriers(made: Any) -> Any:
    """Read what we write of a spec: annotations of its template, devices, placement."""
    spec = made["spec"].get("jobTemplate", made)["spec"]
    template = spec.get("template", made)
    return (
        template["metadata"].get("annotations"),
        [one.get("resources") for one in template["spec"]["containers"]],
        template["spec"].get("affinity"),
        template["spec"].get("tolerations"),
    )


def test_a_diff_shows_what_an_edited_intent_would_change(enabled: Place):
    enabled.apply(acting.deployment(accelerator="a100:2"))

    code, shown = enabled.diff(acting.deployment(accelerator="a100:4"))

    changes = [line for line in shown.splitlines() if line[:1] in "+-" and "a100" in line]
    assert code == 1
    assert {line[1:].strip() for line in changes} == {
        "kubectl-ml.io/accelerator: a100:2",
        "kubectl-ml.io/accelerator: a100:4",
    }
    assert acting.carried(enabled.get("Deployment", "many")) == {"accelerator": "a100:2"}


def test_a_user_with_rights_in_one_namespace_works_as_ever(enabled: Place, plain: Place):
    manifest = acting.deployment(accelerator="t4")

    assert enabled.apply(manifest) == "deployment.apps/many created\n"
    assert "many" in enabled.kubectl("get", "deployments")
    assert "kubectl-ml.io/accelerator" in enabled.kubectl("describe", "deployment", "many")
    assert enabled.kubectl("delete", "deployment", "many").startswith("deployment.apps ")
    assert enabled.user.request("GET", "/api/v1/nodes").status == 403
    assert enabled.user.request("GET", "/api/v1/namespaces").status == 403
