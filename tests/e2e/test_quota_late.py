"""What quotas hold where others act after us: webhooks that refuse, autoscalers, custom kinds."""

import concurrent.futures
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import acting, fakes
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Answer, Client, Manifest
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied, own
from tests.e2e.test_quota import (
    GPUS,
    LEDGERS,
    at_once,
    creates,
    devices,
    in_force,
    job,
    quota,
    replicas,
    settles,
    team,
    worker,
)
from webhook.apiserver import ApiServer, Conflicting, NotFound
from webhook.settings import FactsFrom, SelfSigned, Settings

__all__ = ["replicas", "team", "worker"]  # fixtures

CONTROL_PLANE = "quota"
pytestmark = pytest.mark.load
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
CUSTOM = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "fleets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Fleet", "plural": "fleets"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.size",
                    }
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@contextmanager
def half_refused(place: Place, seed: int = 5) -> Iterator[list[str]]:
    """Have a webhook behind ours that refuses half of what it is asked; give what it refused."""
    chance, lock, refused = random.Random(seed), threading.Lock(), []  # noqa: S311 -- a test

    def answer(body: bytes) -> bytes:
        request = json.loads(body)["request"]
        with lock:
            allowed = chance.random() < 0.5
            if not allowed:
                refused.append(request["name"])
        said: Manifest = {"uid": request["uid"], "allowed": allowed}
        if not allowed:
            said["status"] = {"message": "not today", "code": 403}
        return json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": said}
        ).encode()

    name = f"z-half-{uuid.uuid4().hex[:6]}.example.com"
    with fakes.Server(answer, place.control_plane.directory) as server:
        configuration = {
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": name,
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "clientConfig": server.client_config,
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": place.name}
                    },
                    "rules": [
                        {
                            "apiGroups": ["batch"],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["jobs"],
                        }
                    ],
                }
            ],
        }
        place.admin.create(VALIDATING, configuration)
        try:
            waiting.until(
                lambda: (
                    server.calls
                    or place.admin.request("POST", place.path("Job") + "?dryRun=All", job("probe"))
                ),
                what="the fake to be asked",
            )
            yield refused
        finally:
            place.admin.delete(f"{VALIDATING}/{name}")


def test_what_a_later_webhook_refuses_leaks_nothing(
    replicas: Installed, team: Place, worker: Client
) -> None:
    with applied(replicas, quota(budget={GPUS: 40})):
        in_force(replicas)
        with half_refused(team) as refused:
            answers = at_once(creates(worker, team, [job(f"j{n}") for n in range(40)]))
        assert Counter(one.status for one in answers)[201] == devices(team)
        assert refused
        settles(replicas, team, devices(team))
        left = 40 - devices(team)
        again = at_once(creates(worker, team, [job(f"k{n}") for n in range(left)]))
        assert Counter(one.status for one in again) == {201: left}


def test_what_lost_against_another_update_is_reserved_as_it_is_then(
    replicas: Installed, team: Place, worker: Client
) -> None:
    """While the first waits for room, the second takes away what was counted of its own."""
    path = team.path("Job", "one")

    def change(client: Client, **spec: Any) -> Answer:
        merge = "application/merge-patch+json"
        return client.request("PATCH", path, {"spec": spec}, content_type=merge)

    with applied(replicas, quota(budget={GPUS: 8})):
        in_force(replicas)
        team.apply(job("one", 4), job("two", 4))
        settles(replicas, team, 8)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            raised = pool.submit(change, worker, suspend=False, parallelism=2)
            time.sleep(0.1)
            assert change(team.admin, suspend=True).ok
            answer = raised.result()
        assert answer.status == 403
        assert "one asks for 8, 4 too many" in answer.body["message"]
        settles(replicas, team, 4)


def test_what_changed_since_it_was_seen_is_not_taken_away(
    replicas: Installed, tmp_path: Path
) -> None:
    """As the leader deletes a ledger, with the webhook's own rights; what is gone can't be put."""
    api = ApiServer(
        Settings(
            certificate=SelfSigned(directory=tmp_path),
            facts_from=FactsFrom.KUBECONFIG,
            kubeconfig=replicas.account.kubeconfig,
        )
    )
    place = "/api/v1/namespaces/kubectl-ml/configmaps"
    one = f"{place}/taken-away"
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken-away"}}
    seen = api.ask("POST", place, what="it", body=config_map)
    now = api.ask("PUT", one, what="it", body={**seen, "data": {"a": "b"}})

    def take_away(version: str) -> None:
        api.ask("DELETE", one, what="it", body={"preconditions": {"resourceVersion": version}})

    with pytest.raises(Conflicting):
        take_away(seen["metadata"]["resourceVersion"])
    take_away(now["metadata"]["resourceVersion"])
    with pytest.raises(NotFound):
        api.ask("PUT", one, what="it", body=now)


def test_an_autoscaler_and_kubectl_scale_on_a_custom_kind_stay_within(
    replicas: Installed, team: Place
) -> None:
    control_plane = replicas.control_plane
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(CUSTOM))
    control_plane.kubectl("wait", "--for=condition=Established", "crd/fleets.example.com")
    kind = own(
        "WorkloadKind",
        "fleets",
        {
            "group": "example.com",
            "kind": "Fleet",
            "plural": "fleets",
            "versions": ["v1"],
            "scale": True,
            "roles": [
                {
                    "name": "worker",
                    "template": "spec.template",
                    "compute": True,
                    "replicas": "spec.size ?? 1",
                }
            ],
        },
    )
    fleet: dict[str, Any] = {
        "apiVersion": "example.com/v1",
        "kind": "Fleet",
        "metadata": {"name": "all", "annotations": acting.intents(accelerator="a100:1")},
        "spec": {
            "size": 2,
            "template": {"spec": {"containers": [{"name": "main", "image": "example.com/main"}]}},
        },
    }
    with applied(replicas, kind, quota(budget={GPUS: 4})), registered(replicas):
        in_force(replicas)
        place = f"/apis/example.com/v1/namespaces/{team.name}/fleets"
        team.admin.create(place, fleet)
        settles(replicas, team, 2)
        scaled = team.admin.request(
            "PATCH",
            f"{place}/all/scale",
            {"spec": {"replicas": 4}},
            content_type="application/merge-patch+json",
        )
        assert scaled.ok, scaled.body
        settles(replicas, team, 4)
        refused = team.admin.request(
            "PATCH",
            f"{place}/all/scale",
            {"spec": {"replicas": 5}},
            content_type="application/merge-patch+json",
        )
        assert "all asks for 1 more, 1 too many" in refused.body["message"]


@contextmanager
def registered(replicas: Installed) -> Iterator[None]:
    """Have the webhook asked about Fleets, as `webhook.registrations --policies` renders it."""
    admin = replicas.control_plane.admin
    path = f"{VALIDATING}/enforce.kubectl-ml.io"
    before = admin.get(path)
    changed = json.loads(json.dumps(before))
    for resource in ("fleets", "fleets/scale"):
        changed["webhooks"][0]["rules"].append(
            {
                "apiGroups": ["example.com"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [resource],
                "scope": "Namespaced",
            }
        )
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubectl-ml-usage"
    rules = admin.get(role)["rules"]
    more = {
        "apiGroups": ["example.com"],
        "resources": ["fleets"],
        "verbs": ["get", "list", "watch"],
    }
    admin.patch(role, {"rules": [*rules, more]})
    assert admin.request("PUT", path, changed).ok
    try:
        yield
    finally:
        admin.patch(role, {"rules": rules})
        found = admin.get(path)
        found["webhooks"] = before["webhooks"]
        admin.request("PUT", path, found)


def test_an_autoscaler_of_a_deployment_stops_at_the_budget(
    replicas: Installed, team: Place
) -> None:
    deployment = acting.deployment(accelerator="a100:1", replicas=1)
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    with applied(replicas, quota(budget={GPUS: 3})):
        in_force(replicas)
        team.apply(deployment)
        settles(replicas, team, 1)
        scale = f"/apis/apps/v1/namespaces/{team.name}/deployments/many/scale"
        autoscaler = team.control_plane.as_service_account(
            "kube-system", "horizontal-pod-autoscaler"
        )
        answers = []
        for count in (3, 4):
            answers.append(scaled_to(autoscaler, scale, count))
        assert [one.ok for one in answers] == [True, False]
        assert "many asks for 1 more, 1 too many" in answers[1].body["message"]


def scaled_to(client: Client, path: str, count: int) -> Answer:
    """Scale as an autoscaler does: from what it read, again where somebody else was faster."""
    while True:
        found = client.get(path)
        found["spec"]["replicas"] = count
        answer = client.request("PUT", path, found)
        if answer.status != 409:
            return answer


@pytest.mark.parametrize("how", ["deleted", "garbage", "lowered"])
def test_whatever_becomes_of_a_ledger_a_burst_is_admitted_to_the_budget(
    replicas: Installed, team: Place, worker: Client, how: str
) -> None:
    """What other processes have in flight just then is counted on."""
    corrected = len(replicas.events("a ledger was edited; it is counted anew"))
    with applied(replicas, quota(budget={GPUS: 50})):
        in_force(replicas)
        done = threading.Event()
        spoiler = threading.Thread(target=spoil, args=(team, how, done))
        spoiler.start()
        try:
            answers = at_once(creates(worker, team, [job(f"j{n}") for n in range(200)]), 200)
        finally:
            done.set()
            spoiler.join()
        messages = [one.body["message"] for one in answers if not one.ok]
        late = sum("try again" in one for one in messages)
        admitted = Counter(one.status for one in answers)[201]
        assert 50 - late <= admitted <= 50, messages[:3]
        assert devices(team) == admitted
        settles(replicas, team, admitted)
        if how != "deleted":
            assert len(replicas.events("a ledger was edited; it is counted anew")) > corrected


def spoil(team: Place, how: str, done: threading.Event) -> None:
    """Delete or edit the ledger of a namespace, again and again."""
    # What is deleted again before all processes were told of the last time is forgotten still.
    while not done.wait(2 if how == "deleted" else 0.2):
        for one in team.admin.get(LEDGERS)["items"]:
            text = one["data"]["ledger"]
            if team.name not in text:
                continue
            path = f"/api/v1/namespaces/kubectl-ml/configmaps/{one['metadata']['name']}"
            if how == "deleted":
                team.admin.request("DELETE", path)
                continue
            edited = {**json.loads(text), "used": {}, "h": []} if how == "lowered" else {}
            team.admin.request(
                "PATCH",
                path,
                {"data": {"ledger": json.dumps(edited)}},
                content_type="application/merge-patch+json",
            )
