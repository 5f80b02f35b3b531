"""
One answer everywhere: the engine, HTTP, `render`, `fn` and the post-renderer, at both stages.

Over the examples and, where they are beside the checkout, the manifests of other projects.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_ml import objects
from policies import engine, load, manifests, patch
from policies.model import Decision, Facts, Manifest, PolicySet, User
from policies.workloads import catalogue, locate
from tests.kubectl_ml.program import invoke, run
from tests.webhook import reviews, serving

CHECKOUT = Path(__file__).parents[2]
POLICIES = CHECKOUT / "examples" / "policies"
SAMPLES = CHECKOUT.parent / "shared" / "samples"
INTENTS = {
    "kubectl-ml.io/accelerator": "a100:2",
    "kubectl-ml.io/mounts": "s3://bucket/key:/mnt/ml/data, scratch://10Gi:/mnt/ml/work",
    "kubectl-ml.io/shm": "2Gi",
}
QUEUED = INTENTS | {"kubectl-ml.io/queue": "team-a"}
STAGES = {"admission": engine.review, "template": engine.render}


def _examples() -> Iterator[Manifest]:
    for file in sorted((CHECKOUT / "examples").glob("*.yaml")):
        yield from manifests.documents(file.read_bytes())


def _samples() -> Iterator[Manifest]:
    known = catalogue.builtin()
    for file in sorted(SAMPLES.rglob("*.yaml")):
        try:
            found = manifests.documents(file.read_bytes())
        except manifests.InvalidYAML:  # templates of other tools
            continue
        for one in found:
            if not isinstance(one, dict) or not isinstance(one.get("metadata"), dict):
                continue
            kind = known.of(one) if isinstance(one.get("kind"), str) else None
            if kind is not None and kind.mutate:
                yield from (_wanting(one, intents) for intents in (INTENTS, QUEUED))


def _wanting(one: Manifest, intents: dict[str, str]) -> Manifest:
    metadata = one["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **intents}
    return {**one, "metadata": {**metadata, "annotations": annotations}}


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load.read([POLICIES])


@pytest.fixture(scope="module")
def subjects(policies: PolicySet) -> list[Manifest]:
    """Give what isn't refused: where one is, the commands print nothing at all."""
    found = [one for one in (*_examples(), *_samples()) if one]
    return [
        one
        for one in found
        if not any(decided(one, policies, stage).violations for stage in STAGES)
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Served]:
    directory = tmp_path_factory.mktemp("webhook")
    with serving.webhook(directory, "--offline", f"--policies={POLICIES}") as started:
        yield started


def decided(one: Manifest, policies: PolicySet, stage: str) -> Decision:
    request = objects.request(one, namespace="default", user=User())
    return STAGES[stage](request, policies, Facts())


def stream(found: list[Manifest]) -> bytes:
    return "---\n".join(manifests.dump(one) for one in found).encode()


@pytest.mark.parametrize("stage", STAGES)
def test_the_commands_give_what_the_engine_gives(
    stage: str, subjects: list[Manifest], policies: PolicySet
) -> None:
    spec = {"stage": stage, "paths": [str(POLICIES)]}
    config = {"apiVersion": "kubectl-ml.io/v1alpha1", "kind": "Render", "spec": spec}
    given = {"kind": "ResourceList", "functionConfig": config, "items": subjects}
    flags = ("render", "-f", "-", "--stage", stage, "--policies", POLICIES)

    expected = [decided(one, policies, stage).object for one in subjects]
    rendered = invoke(*flags, stdin=stream(subjects))
    function = invoke("fn", stdin=manifests.dump(given))
    filtered = run(*flags, stdin=stream(subjects))  # what Helm calls

    assert len(subjects) >= (500 if SAMPLES.is_dir() else 10)
    assert manifests.documents(rendered.out) == expected
    assert manifests.documents(function.out)[0]["items"] == expected
    assert manifests.documents(filtered.stdout) == expected


def test_http_gives_the_engines_bytes(
    subjects: list[Manifest], policies: PolicySet, served: serving.Served
) -> None:
    wrong = [
        objects.reference(one, namespace="default")
        for one in subjects
        if answer(served, one) != as_bytes(decided(one, policies, "admission"))
    ]

    assert wrong == []


def test_http_makes_of_pods_what_the_template_stage_shows(
    subjects: list[Manifest], policies: PolicySet, served: serving.Served
) -> None:
    """The pod that a controller makes of an admitted template is the folded template."""
    known, wrong, count = catalogue.builtin(), [], 0
    for one in subjects:
        kind = known.of(one)
        if kind is None or kind.name not in PLAIN:
            continue
        admitted = decided(one, policies, "admission").object
        folded = decided(one, policies, "template").object
        for template in locate.templates(admitted, kind, known):
            pod = pod_of(admitted, template)
            made = patched(pod, answer(served, pod))
            shown = patch.lookup(folded, template.pod_spec)
            count += 1
            if made["spec"] != shown:
                wrong.append(objects.reference(one, namespace="default"))

    assert (wrong, count > 5) == ([], True)


PLAIN = ("Deployment.apps", "StatefulSet.apps", "ReplicaSet.apps", "DaemonSet.apps", "Job.batch")


def pod_of(workload: Manifest, template: locate.Template) -> Manifest:
    """Make a pod of a template, as a controller does."""
    metadata = dict(patch.lookup(workload, (*template.pod_spec[:-1], "metadata")) or {})
    controller = {key: workload[key] for key in ("apiVersion", "kind")}
    reference = {**controller, "name": "owner", "uid": "1", "controller": True}
    metadata |= {"generateName": "made-", "ownerReferences": [reference]}
    if namespace := workload["metadata"].get("namespace"):
        metadata["namespace"] = namespace
    spec = patch.lookup(workload, template.pod_spec)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def answer(served: serving.Served, one: Manifest) -> bytes:
    group, _, version = one["apiVersion"].rpartition("/")
    namespace = objects.namespace_of(one, default="default")
    kind = {"group": group, "version": version, "kind": one["kind"]}
    review = reviews.review(one, kind=kind, namespace=namespace)
    found = served.mutate(review).get("patch")
    return base64.b64decode(found) if found else b"[]"


def as_bytes(decision: Decision) -> bytes:
    return json.dumps(decision.patch, separators=(",", ":"), ensure_ascii=False).encode()


def patched(one: Manifest, raw: bytes) -> Any:
    import jsonpatch

    return jsonpatch.apply_patch(one, json.loads(raw))
