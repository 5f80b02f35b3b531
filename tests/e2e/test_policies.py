"""
Policies as objects of the cluster: in force at once, refused or left out when they can't be used.

Several replicas of the webhook watch them; the leader writes what became of them.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed

CONTROL_PLANE = "policies"
GROUP = "/apis/kubectl-ml.io/v1alpha1"
GUARD_OF_OBJECTS = "policies.kubectl-ml.io"


def own(kind: str, name: str, spec: Any) -> Manifest:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def team(value: str = "ml") -> Manifest:
    return own("InjectionPolicy", "team", {"inject": {"env": [{"name": "TEAM", "value": value}]}})


def apply(installed: Installed, *manifests: Manifest) -> None:
    installed.control_plane.kubectl("apply", "-f", "-", stdin=acting.listed(*manifests))


@contextmanager
def applied(installed: Installed, *manifests: Manifest) -> Iterator[None]:
    apply(installed, *manifests)
    try:
        yield
    finally:
        installed.control_plane.kubectl(
            "delete", "--ignore-not-found", "-f", "-", stdin=acting.listed(*manifests)
        )


def pod(name: str, **intents: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": acting.intents(**intents)},
        "spec": {"containers": [{"name": "main", "image": "example.com/main"}]},
    }


def made(place: Place, **intents: str) -> Manifest:
    """Tell what the webhook makes of a pod."""
    text = place.kubectl(
        "create", "--dry-run=server", "-ojson", "-f", "-", stdin=pod("probe", **intents)
    )
    found: Manifest = json.loads(text)
    return found


def env(place: Place) -> list[str]:
    container = made(place)["spec"]["containers"][0]
    return [one["value"] for one in container.get("env", ())]


def ready(installed: Installed, path: str) -> dict[str, Any]:
    obj = installed.control_plane.admin.get(f"{GROUP}/{path}")
    conditions = obj.get("status", {}).get("conditions", [])
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in conditions}


def test_a_policy_is_in_force_within_a_second_changed_and_gone(
    installed: Installed, enabled: Place
) -> None:
    before = env(enabled)
    with applied(installed, team()):
        began = time.monotonic()
        waiting.until(lambda: env(enabled) == ["ml"], what="the policy to be in force")
        took = time.monotonic() - began
        apply(installed, team("nlp"))
        waiting.until(lambda: env(enabled) == ["nlp"], what="the changed policy to be in force")
    waiting.until(lambda: env(enabled) == [], what="the policy to be gone")

    assert before == []
    assert took < 1


def test_an_object_beats_the_librarys_of_the_same_name(
    installed: Installed, enabled: Place
) -> None:
    spec = {"resource": "example.com/gpu", "maxPerPod": 4}

    def resources() -> set[str]:
        limits = made(enabled, accelerator="l4")["spec"]["containers"][0]["resources"]["limits"]
        return {*limits}

    with applied(installed, own("Accelerator", "l4", spec)):
        waiting.until(lambda: resources() == {"example.com/gpu"}, what="the cluster's class")
    waiting.until(lambda: resources() == {"nvidia.com/gpu"}, what="the library's class again")


def test_what_became_of_a_policy_is_in_its_status(installed: Installed) -> None:
    with applied(installed, team()):
        waiting.until(
            lambda: ready(installed, "injectionpolicies/team"), what="the status to be written"
        )
        status = ready(installed, "injectionpolicies/team")
        table = installed.control_plane.kubectl("get", "injpol", "team")

    assert status == {"Ready": ("True", "InForce", "")}
    assert [line.split()[:5] for line in table.splitlines()] == [
        ["NAME", "MODE", "OPTIN", "ORDER", "READY"],
        ["team", "Apply", "false", "0", "True"],
    ]


def test_a_budget_of_no_device_class_is_told_in_the_status(installed: Installed) -> None:
    quota = own("QuotaPolicy", "idle", {"budget": {"accelerators.a1000": 4}})
    with applied(installed, quota):
        waiting.until(
            lambda: ready(installed, "quotapolicies/idle"), what="the status to be written"
        )
        status = ready(installed, "quotapolicies/idle")
        with applied(installed, own("Accelerator", "a1000", {"resource": "example.com/a1000"})):
            waiting.until(
                lambda: ready(installed, "quotapolicies/idle")["Ready"][2] == "",
                what="the status to be written anew",
            )

    message = (
        'spec.budget["accelerators.a1000"]: there is no device class "a1000", so this bounds '
        'nothing; did you mean "a100"?'
    )
    assert status == {"Ready": ("True", "InForce", message)}


def test_a_policy_that_cant_be_used_is_refused_as_it_is_applied(installed: Installed) -> None:
    bad = own("InjectionPolicy", "bad", {"inject": {"accelerator": "a100:0"}})

    refused = installed.control_plane.admin.try_kubectl(
        "apply", "-f", "-", stdin=acting.listed(bad)
    )

    assert refused.returncode == 1
    assert (
        f'admission webhook "{GUARD_OF_OBJECTS}" denied the request: '
        'InjectionPolicy "bad": spec.inject.accelerator: '
    ) in refused.stderr


def test_figures_with_decimals_need_no_quotes(installed: Installed) -> None:
    exact = own("QuotaPolicy", "exact", {"budget": {"cpu": 0.5, "accelerators": 1.5}})
    costly = own("Accelerator", "costly", {"resource": "example.com/x", "costPerHour": 2.75})
    wrong = own("QuotaPolicy", "wrong", {"budget": {"memory": "80GB"}})

    with applied(installed, exact, costly):
        pass
    refused = installed.control_plane.admin.try_kubectl(
        "apply", "-f", "-", stdin=acting.listed(wrong)
    )

    assert (
        'QuotaPolicy "wrong": spec.budget.memory: "80GB" is not a quantity; write for example '
        '"80Gi"'
    ) in refused.stderr


@contextmanager
def unguarded(installed: Installed) -> Iterator[None]:
    """Have nobody judge our objects as they are applied, as while the webhook is down."""
    path = (
        f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{GUARD_OF_OBJECTS}"
    )
    admin = installed.control_plane.admin
    kept = admin.get(path)
    admin.delete(path)
    time.sleep(1.5)  # the API server forgets within about a second
    try:
        yield
    finally:
        kept["metadata"] = {"name": GUARD_OF_OBJECTS}
        admin.create(path.rpartition("/")[0], kept)
        time.sleep(1.5)


def test_one_that_got_in_is_left_out_and_takes_no_other_down(
    installed: Installed, enabled: Place
) -> None:
    bad = own("InjectionPolicy", "bad", {"inject": {"accelerator": "a100:0"}})
    with unguarded(installed), applied(installed, bad, team()):
        waiting.until(lambda: env(enabled) == ["ml"], what="the good policy to be in force")
        waiting.until(
            lambda: ready(installed, "injectionpolicies/bad"), what="the status to be written"
        )
        status = ready(installed, "injectionpolicies/bad")["Ready"]
        events = waiting.until(
            lambda: installed.control_plane.kubectl(
                "get", "events", "-n", "default", "-ojsonpath={.items[*].message}"
            ),
            what="the event",
        )
        said = installed.events("a policy is left out", name="bad")

    assert status[:2] == ("False", "Unusable")
    assert status[2].startswith("spec.inject.accelerator: ")
    assert status[2] in str(events)
    assert [line["faults"] for line in said][:1] == [[status[2]]]


def test_the_last_good_set_stays_while_the_api_server_is_away(
    installed: Installed, enabled: Place
) -> None:
    with applied(installed, team()):
        waiting.until(lambda: env(enabled) == ["ml"], what="the policy to be in force")
        installed.control_plane.stop_part("kube-apiserver")
        installed.control_plane.start_part("kube-apiserver")
        assert env(enabled) == ["ml"]
        apply(installed, team("nlp"))
        waiting.until(
            lambda: env(enabled) == ["nlp"], what="the watch to go on", timeout_seconds=30
        )


def test_replicas_agree_on_who_writes(installed: Installed) -> None:
    lease = "/apis/coordination.k8s.io/v1/namespaces/kubectl-ml/leases/kubectl-ml"
    holder = installed.control_plane.admin.get(lease)["spec"]["holderIdentity"]
    with installed.stopped():
        released = installed.control_plane.admin.get(lease)["spec"]["holderIdentity"]
    waiting.until(
        lambda: installed.control_plane.admin.get(lease)["spec"]["holderIdentity"],
        what="another to take over",
    )
    after = installed.control_plane.admin.get(lease)["spec"]["holderIdentity"]

    assert released == ""
    assert holder != after


@pytest.mark.parametrize("kind", ["GuardPolicy", "QuotaPolicy", "PolicyException"])
def test_kinds_without_a_definition_have_no_objects(installed: Installed, kind: str) -> None:
    """A kind that this version can't carry out can't be applied by mistake."""
    from webhook import definitions

    if kind in {one["spec"]["names"]["kind"] for one in definitions.definitions()}:
        pytest.skip(f"{kind} has a definition")
    refused = installed.control_plane.admin.try_kubectl(
        "apply", "-f", "-", stdin=acting.listed(own(kind, "x", {}))
    )

    assert "no matches for kind" in refused.stderr


def test_the_plugin_takes_the_policies_that_are_in_force(
    installed: Installed, enabled: Place
) -> None:
    viewer = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "e2e-policies"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "kubectl-ml-view",
        },
        "subjects": [{"kind": "User", "name": acting.USER}],
    }
    written = pod("plain")
    written["metadata"]["namespace"] = enabled.name
    refused = enabled.user.try_kubectl("ml", "classes", "--policies=cluster")
    with applied(installed, team(), viewer):
        waiting.until(lambda: env(enabled) == ["ml"], what="the policy to be in force")
        rendered = json.loads(
            enabled.user.kubectl(
                *("ml", "render", "-f", "-", "--policies=cluster", "-ojson"), stdin=written
            )
        )

    assert rendered["spec"]["containers"][0]["env"] == [{"name": "TEAM", "value": "ml"}]
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "accelerators" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 2
