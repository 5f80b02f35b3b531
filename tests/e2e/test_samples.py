"""
Every sample of a known kind, on a real API server that has the definitions of their projects.

What the API server takes as its authors wrote it, it takes as we inject it: at the template stage,
and through the webhook. What it refuses as written (placeholders, fields of another version) says
nothing about us and is left out.
"""

import copy
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policies import engine, load, manifests
from policies.intents import PREFIX
from policies.model import Facts, Request
from policies.workloads import catalogue, locate
from policies.workloads.catalogue import Kind
from tests.e2e import acting, argocd
from tests.e2e.controlplane import build, crds, errors, processes, waiting
from tests.e2e.controlplane.client import Answer, Manifest
from tests.e2e.installed import ENABLED, Installed

CONTROL_PLANE = "samples"  # with so many definitions the API server takes gigabytes
SAMPLES = processes.CHECKOUT.parent / "shared" / "samples"
WANTED = acting.intents(
    accelerator="gpu:2", mounts="scratch://10Gi:/mnt/ml", experiment="e2e", shm="1Gi"
)
# Refused by the API server as published: an array without the type of its items.
REFUSED = ("seldondeployments.machinelearning.seldon.io", "mpijobs.kubeflow.org.mpi-operator")
QUEUES = {"clusterqueues.kueue.x-k8s.io"}  # a queue is Kueue's where that is installed
# Kueue, Volcano and the rest aren't there; neither are the webhooks of these projects.
SHOWN: dict[str, list[str]] = {
    "admitted": [
        "Job.batch /spec/template/spec/tolerations",
        "Job.batch.volcano.sh /spec/tasks",
        "TrainJob.trainer.kubeflow.org /spec/runtimePatches",
    ],
    "queued": [
        "Job.batch /spec/template/spec/tolerations",
        "Job.batch.volcano.sh /spec/tasks",
        "LeaderWorkerSet.leaderworkerset.x-k8s.io /spec/leaderWorkerTemplate/leaderTemplate/spec/containers",  # noqa: E501 -- a path
        "LeaderWorkerSet.leaderworkerset.x-k8s.io /spec/leaderWorkerTemplate/leaderTemplate/spec/volumes",  # noqa: E501 -- a path
        "LeaderWorkerSet.leaderworkerset.x-k8s.io /spec/leaderWorkerTemplate/workerTemplate/spec/containers",  # noqa: E501 -- a path
        "LeaderWorkerSet.leaderworkerset.x-k8s.io /spec/leaderWorkerTemplate/workerTemplate/spec/volumes",  # noqa: E501 -- a path
        "PaddleJob.kubeflow.org /spec/paddleReplicaSpecs/Worker/template/spec/containers",
        "PaddleJob.kubeflow.org /spec/paddleReplicaSpecs/Worker/template/spec/volumes",
        "RayCluster.ray.io /spec/headGroupSpec/template/spec/containers",
        "RayCluster.ray.io /spec/headGroupSpec/template/spec/volumes",
        "RayCluster.ray.io /spec/workerGroupSpecs",
        "RayJob.ray.io /spec/rayClusterSpec/headGroupSpec/template/spec/containers",
        "RayJob.ray.io /spec/rayClusterSpec/workerGroupSpecs",
        "TrainJob.trainer.kubeflow.org /spec/runtimePatches",
        "TrainJob.trainer.kubeflow.org /spec/trainer/env",
    ],
}
QUERY = "dryRun=All&fieldValidation=Ignore"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One document of a sample, and its kind."""

    file: str
    kind: Kind
    manifest: Manifest

    def path(self, namespace: str) -> str:
        """Give the collection that it is created in."""
        api_version = self.manifest["apiVersion"]
        group = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        inside = "" if self.kind.cluster_scoped else f"/namespaces/{namespace}"
        return f"{group}{inside}/{self.kind.plural}?{QUERY}"

    def named(self) -> str:
        """Name it in a failure."""
        return f"{self.file}: {self.kind.name} {self.manifest['metadata'].get('name')}"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What the API server said of one sample: as written, folded, admitted (also with a queue)."""

    sample: Sample
    plain: Answer
    folded: Answer
    admitted: Answer
    queued: Answer


@pytest.fixture(scope="module")
def tried(webhook_installed: Installed) -> Iterator[list[Tried]]:
    if not SAMPLES.is_dir():
        pytest.skip("needs ../shared/samples beside the checkout")
    samples = list(_samples())
    _load_definitions(webhook_installed, samples)
    with (
        acting.place(webhook_installed, {}) as plain,
        acting.place(webhook_installed, ENABLED) as enabled,
        ThreadPoolExecutor(max_workers=6) as pool,
    ):

        def ask(sample: Sample) -> Tried:
            admin = webhook_installed.control_plane.admin
            wanted = _wanting(sample)
            return Tried(
                sample=sample,
                plain=admin.request("POST", sample.path(plain.name), sample.manifest),
                folded=admin.request("POST", sample.path(plain.name), _folded(sample, wanted)),
                admitted=admin.request("POST", sample.path(enabled.name), wanted),
                queued=admin.request("POST", sample.path(enabled.name), _queued(wanted)),
            )

        yield list(pool.map(ask, samples))


def _samples() -> Iterator[Sample]:
    known = catalogue.builtin()
    for file in sorted(SAMPLES.rglob("*.yaml")):
        try:
            documents = manifests.documents(file.read_bytes())
            for one in documents:
                kind = known.of(one)
                if kind is not None and isinstance(one.get("metadata"), dict) and kind.mutate:
                    yield Sample(file=_named(file), kind=kind, manifest=_placed(one))
        except (manifests.InvalidYAML, TypeError):  # templates of other tools, and dates
            continue


def _named(file: Path) -> str:
    return str(file.relative_to(SAMPLES))


def _placed(one: Manifest) -> Manifest:
    """Leave out where it belongs, and what only an owner could say."""
    one = json.loads(json.dumps(one))
    for member in ("namespace", "ownerReferences", "uid", "resourceVersion"):
        one["metadata"].pop(member, None)
    return one


def _wanting(sample: Sample) -> Manifest:
    wanted = copy.deepcopy(sample.manifest)
    metadata = wanted["metadata"]
    roles = _to_name(sample)
    named = acting.intents(roles=roles[0]) if roles else {}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **WANTED, **named}
    return wanted


def _to_name(sample: Sample) -> list[str]:
    """List the roles of what has none that computes: which one receives has to be written."""
    found = list(locate.templates(sample.manifest, sample.kind))
    if sample.kind.propagates or any(one.definition.compute for one in found):
        return []
    return [one.role for one in found]


def _queued(wanted: Manifest) -> Manifest:
    metadata = wanted["metadata"]
    annotations = {**metadata["annotations"], **acting.intents(queue="team-a")}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def _folded(sample: Sample, wanted: Manifest) -> Any:
    return engine.render(_request(sample, wanted), load.library(), Facts()).object


def _request(sample: Sample, obj: Manifest) -> Request:
    return Request(
        operation="CREATE",
        group=sample.kind.group,
        version=obj["apiVersion"].rpartition("/")[2],
        kind=sample.kind.kind,
        namespace="default",
        object=obj,
    )


def _load_definitions(installed: Installed, samples: list[Sample]) -> None:
    there = {file.stem for file in crds.DIRECTORY.glob("*.json")} - {*REFUSED}
    wanted = {f"{one.kind.plural}.{one.kind.group}" for one in samples if one.kind.group} & there
    try:
        crds.load(installed.control_plane, *sorted(wanted | QUEUES))
    except errors.NotAvailableError as error:
        pytest.skip(str(error))
    groups = {name.partition(".")[2] for name in wanted}
    admin = installed.control_plane.admin
    waiting.until(
        lambda: groups <= {each["name"] for each in admin.get("/apis")["groups"]},
        what="the API server to serve them",
    )
    installed.stop()  # it looks once a minute for what is installed, on which queues depend
    installed.restore()


def refusals(tried: list[Tried], member: str) -> list[str]:
    """Name the samples that are taken as written and refused as we make them."""
    return [
        f"{one.sample.named()}: {getattr(one, member).body.get('message')}"
        for one in tried
        if one.plain.ok and not getattr(one, member).ok
    ]


def test_what_render_makes_is_accepted(tried: list[Tried]):
    assert refusals(tried, "folded") == []


def test_what_the_webhook_makes_is_accepted(tried: list[Tried]):
    assert refusals(tried, "admitted") == []


def test_roles_are_named_where_none_computes(tried: list[Tried]):
    assert {one.sample.kind.name for one in tried if _to_name(one.sample)} == {
        "AnalysisTemplate.argoproj.io",
        "EventSource.argoproj.io",
        "RayCluster.ray.io",  # of a head alone
        "Sensor.argoproj.io",
    }


def test_the_webhook_saw_them(tried: list[Tried]):
    """Whatever is namespaced and holds a template to which intents travel was changed."""
    untouched = [
        one.sample.named()
        for one in tried
        if one.admitted.ok
        and not one.sample.kind.cluster_scoped
        and _travels(one.sample)
        and not one.sample.kind.makes_no_pods(one.sample.manifest)
        and acting.INJECTED not in json.dumps(one.admitted.body)
    ]

    assert untouched == []


def _travels(sample: Sample) -> bool:
    """Tell whether intents have to be carried: a TaskRun's own metadata is its pod's, for one."""
    return any(
        one.metadata not in (None, ("metadata",))
        for one in locate.templates(sample.manifest, sample.kind)
    )


def test_there_are_enough(tried: list[Tried]):
    accepted = [one for one in tried if one.plain.ok]

    assert len(accepted) > 250
    assert len({one.sample.kind.name for one in accepted}) > 30


@pytest.mark.parametrize("member", ["admitted", "queued"])
def test_argo_cd_says_synced(tried: list[Tried], member: str) -> None:
    """
    Name where our additions show; what Argo CD sees differ without us, too, is left out.

    These are lists that its merge takes as a whole; docs/how-to/argo-cd.md says what to do.
    """
    program = _argo_cd()
    seen = [one for one in tried if one.plain.ok and getattr(one, member).ok]
    sent = [_wanting(one.sample) for one in seen]
    sent = [_queued(each) for each in sent] if member == "queued" else sent
    alone = [one.sample.manifest for one in seen]

    ours = argocd.out_of_sync(
        program, zip(sent, (getattr(one, member).body for one in seen), strict=True)
    )
    without = argocd.out_of_sync(program, zip(alone, (one.plain.body for one in seen), strict=True))

    shown = {
        f"{one.sample.kind.name} {re.split('/[0-9]', path)[0]}"
        for one, paths, before in zip(seen, ours, without, strict=True)
        for path in set(paths) - set(before)
    }
    assert len(seen) > 200
    assert sorted(shown) == SHOWN[member]


@pytest.mark.parametrize("member", ["admitted", "queued"])
def test_argo_cd_says_synced_of_all_with_the_rules_that_the_plugin_writes(
    tried: list[Tried], member: str
) -> None:
    program = _argo_cd()
    seen = [one for one in tried if one.plain.ok and getattr(one, member).ok]
    sent = [_wanting(one.sample) for one in seen]
    sent = [_queued(each) for each in sent] if member == "queued" else sent
    rules = argocd.rules(sent)

    ours = argocd.out_of_sync(
        program, zip(sent, (getattr(one, member).body for one in seen), strict=True), rules
    )
    alone = [one.sample.manifest for one in seen]
    without = argocd.out_of_sync(program, zip(alone, (one.plain.body for one in seen), strict=True))

    shown = {
        one.sample.named(): left
        for one, paths, before in zip(seen, ours, without, strict=True)
        if (left := _lists(paths) - _lists(before))
    }
    assert shown == {}


def _lists(paths: list[str]) -> set[str]:
    """Cut paths at the outermost list: one that differs anyway is Git's in whole."""
    return {re.split("/[0-9]", path)[0] for path in paths}


def _argo_cd() -> str:
    try:
        return build.ensure(modules=(build.ARGO_CD,))["argocd"]
    except errors.NotAvailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("member", ["folded", "admitted", "queued"])
def test_strip_gives_back_what_the_api_server_makes_without_us(
    tried: list[Tried], member: str
) -> None:
    """Its defaults come to the plain as to the injected, and stay; what was empty is so again."""
    failed = []
    for one in tried:
        answer = getattr(one, member)
        if not (one.plain.ok and answer.ok):
            continue
        found = engine.strip(_request(one.sample, answer.body), load.library())
        made, plain = _but_ids(found.object), _but_ids(one.plain.body)
        if found.left or made != plain:
            failed.append((one.sample.named(), found.left, argocd.differing(made, plain)))

    assert failed == []


def _but_ids(answer: Manifest) -> Any:
    """Leave out the intents, and what differs between two objects by nature: ids, times, places."""
    made = copy.deepcopy(answer)
    made.pop("status", None)
    metadata = made["metadata"]
    ids = {metadata.pop(one, ""): one for one in ("uid", "name", "namespace")}
    for one in ("resourceVersion", "creationTimestamp", "managedFields", "generateName"):
        metadata.pop(one, None)
    annotations = metadata.pop("annotations", None) or {}
    metadata["annotations"] = {
        key: value for key, value in annotations.items() if not key.startswith(PREFIX)
    }
    text = json.dumps(made)
    for what, instead in ids.items():
        text = text.replace(f'"{what}"', f'"{instead}"') if what else text
    return json.loads(re.sub("kube-api-access-[a-z0-9]{5}", "kube-api-access", text))
