"""
Manifests of other projects, as their authors wrote them, in a folder beside the checkout.

They are not part of the project, so these tests skip without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policies import manifests
from policies.model import Manifest
from policies.patch import lookup
from policies.workloads import catalogue, locate
from policies.workloads.catalogue import Kind
from policies.workloads.locate import Template
from tests.builders import PREFIX, applied, but_kueues, mutated, plain, review, stripped

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"
WANTED = {
    PREFIX + "accelerator": "a100:2, rdma",
    PREFIX + "mounts": "s3://bucket/key:/mnt/ml/data, scratch://10Gi:/mnt/ml/work",
    PREFIX + "shm": "2Gi",
    PREFIX + "sidecars": "logs",
    PREFIX + "experiment": "bert-42",
    PREFIX + "dapr": "true",
    PREFIX + "mesh": "false",
    PREFIX + "queue": "team-a",
}
NO_POINTERS = '"intents@00000001":[]'
STAGES = ("admission", "template")
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(),
    reason=f"no samples beside the checkout (looked in ../{SAMPLES.parent.name})",
)


def samples() -> list[tuple[str, Manifest]]:
    found = []
    for file in sorted(SAMPLES.rglob("*.yaml")):
        try:
            documents = manifests.documents(file.read_bytes())
        except manifests.InvalidYAML:  # templates of other tools
            continue
        found += [(file.name, one) for one in documents if is_object(one)]
    return found


def is_object(one: Any) -> bool:
    try:
        json.dumps(one)
    except (TypeError, ValueError):  # dates
        return False
    return isinstance(one, dict) and isinstance(one.get("metadata"), dict) and "kind" in one


def test_without_intents_nothing_changes() -> None:
    for name, obj in samples():
        for stage in STAGES:
            decision = review(obj, stage=stage)
            assert (decision.patch, decision.violations) == ([], ()), name


def test_with_intents_each_is_mutated_once_and_given_back_whole() -> None:
    count = 0
    for name, obj in samples():
        annotations = {**(obj["metadata"].get("annotations") or {}), **WANTED}
        wanted = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        before = json.dumps(wanted)
        for stage in STAGES:
            decision = review(wanted, stage=stage)
            assert applied(wanted, decision) == decision.object, name
            assert review(decision.object, stage=stage).patch == [], name
            count += bool(decision.patch)
        stored = mutated(wanted)
        again = mutated(wanted, old=stored)
        assert plain(but_kueues(again)) == plain(but_kueues(stored)), name
        assert json.dumps(wanted) == before, name

    assert count > 200


def test_with_intents_each_is_stripped_to_what_it_was() -> None:
    failed: list[tuple[str, str, str]] = []
    for name, obj in samples():
        annotations = {**(obj["metadata"].get("annotations") or {}), **WANTED}
        wanted = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        for stage in STAGES:
            injected = review(wanted, stage=stage).object
            found = stripped(injected)
            lost = NO_POINTERS in str(injected)  # too much to be written: nothing is half undone
            expected = injected if lost else wanted
            if found.object != expected or bool(found.left) != lost:
                failed.append((name, obj["kind"], stage))

    assert failed == []


def test_every_compute_role_is_injected_at_the_template_stage() -> None:
    """Only what a kind's own webhook refuses in a template waits for the pod."""
    known = catalogue.builtin()
    bare: list[tuple[str, str, str]] = []
    injected = 0
    for name, obj in samples():
        kind = known.of(obj)
        if kind is None or not kind.mutate or not _holds_resources(kind):
            continue
        annotations = {**(obj["metadata"].get("annotations") or {}), **DEVICES}
        wanted = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        made = review(wanted, stage="template").object
        if kind.makes_no_pods(obj):
            assert made == wanted, name
            continue
        for template in locate.templates(made, kind, known):
            if not template.definition.compute or not _has_containers(made, template):
                continue
            injected += 1
            if not _asks_for_devices(made, template):
                bare.append((name, kind.name, template.role))

    assert bare == []
    assert injected > 350


DEVICES = {PREFIX + "accelerator": "gpu", PREFIX + "mounts": "scratch://1Gi:/mnt/ml"}


def _holds_resources(kind: Kind) -> bool:
    return kind.accepts is None or "resources" in kind.accepts


def _has_containers(obj: Manifest, template: Template) -> bool:
    """Tell whether it is a pod at all: one without containers is for the API server to refuse."""
    if template.definition.container or template.definition.flat or template.definition.inline:
        return True
    return bool(lookup(obj, (*template.pod_spec, "containers")))


def _asks_for_devices(obj: Manifest, template: Template) -> bool:
    parts = [lookup(obj, template.pod_spec)]
    if template.definition.container:
        parts.append(lookup(obj, template.definition.container.resources))
    return "nvidia.com/gpu" in json.dumps(parts)


def test_documents_without_pods_come_out_as_they_went_in() -> None:
    """With or without intents: these only get a warning."""
    known = catalogue.builtin()
    count = 0
    for name, obj in samples():
        kind = known.of(obj)
        if kind is not None and kind.mutate:
            continue
        annotations = {**(obj["metadata"].get("annotations") or {}), **DEVICES}
        wanted = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        for stage in STAGES:
            decision = review(wanted, stage=stage)
            assert (decision.object, decision.patch) == (wanted, []), name
        count += 1

    assert count > 150
