"""What holds for every object, every policy and every set of facts, legal or not."""

from __future__ import annotations

import copy
import json
from typing import Any

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from policies import quantity, windows
from policies.model import Facts, Manifest
from policies.patch import lookup, tokens
from policies.workloads import catalogue
from tests import builders
from tests.builders import INJECTED, PREFIX, applied, but_kueues, mutated, review
from tests.policies import strategies

STAGES = st.sampled_from(("admission", "template"))
# What the API server writes where nothing was set; 30 are the seconds of a termination.
DEFAULTS = ("default-scheduler", "default", 30)
IMMUTABLE = {one.kind for one in catalogue.builtin().kinds.values() if one.immutable}


@given(strategies.sparse(strategies.objects()), strategies.policies(), strategies.facts, STAGES)
def test_the_patch_makes_the_object_of_the_decision(
    obj: Manifest, given: str, facts: Facts, stage: str
) -> None:
    decision = review(obj, given, facts, stage=stage)

    assert applied(obj, decision) == decision.object


@given(strategies.sparse(strategies.objects()), strategies.policies(), strategies.facts, STAGES)
def test_twice_changes_nothing_more(obj: Manifest, given: str, facts: Facts, stage: str) -> None:
    once = review(obj, given, facts, stage=stage).object

    assert review(once, given, facts, stage=stage).patch == []


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_the_input_stays_as_it_was_and_the_answer_is_the_same_bytes(
    obj: Manifest, given: str, facts: Facts, stage: str
) -> None:
    before = orjson.dumps(obj)

    first, second = (review(one, given, facts, stage=stage) for one in (obj, copy.deepcopy(obj)))

    assert orjson.dumps(obj) == before
    assert orjson.dumps(first) == orjson.dumps(second)


@given(strategies.objects(), strategies.policies(override=False), STAGES)
def test_what_the_user_set_is_kept_at_its_place(obj: Manifest, given: str, stage: str) -> None:
    after = review(obj, given, stage=stage).object

    assert list(lost(obj, after)) == []


@given(strategies.objects(), strategies.policies(), STAGES)
def test_the_first_container_stays_the_first_and_ours_come_last(
    obj: Manifest, given: str, stage: str
) -> None:
    after = review(obj, given, stage=stage).object

    for role, (_, spec) in builders.pods_of(obj).items():
        names = [one["name"] for one in spec.get("containers", ())]
        found = [one["name"] for one in builders.pods_of(after)[role][1].get("containers", ())]
        assert found[: len(names)] == names


@given(strategies.objects(), strategies.policies(), STAGES)
def test_no_request_comes_to_exceed_its_limit(obj: Manifest, given: str, stage: str) -> None:
    before = builders.pods_of(obj)
    after = builders.pods_of(review(obj, given, stage=stage).object)

    for role, (_, spec) in before.items():
        assert exceeding(after[role][1]) <= exceeding(spec)


def exceeding(spec: Manifest) -> set[str]:
    """List the resources of which a container requests more than its limit."""
    found = set()
    for one in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        resources = one.get("resources") or {}
        requests, limits = (resources.get(kind) or {} for kind in ("requests", "limits"))
        for key in requests.keys() & limits.keys():
            if not quantity.at_least(limits[key], requests[key]):
                found.add(f"{one.get('name')}: {key}")
    return found


@given(strategies.objects(), strategies.policies(), STAGES)
def test_a_windows_pod_gets_no_field_of_linux(obj: Manifest, given: str, stage: str) -> None:
    before = builders.pods_of(obj)
    after = builders.pods_of(review(obj, given, stage=stage).object)

    for role, (_, spec) in before.items():
        if spec.get("os") == {"name": "windows"}:
            assert linux_only(after[role][1]) <= linux_only(spec)


def linux_only(spec: Manifest) -> set[str]:
    """List where a pod says something that only Linux knows."""
    named = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    found = [("pod", spec), *((str(one.get("name")), one) for one in named)]
    return {
        f"{name}: {key}"
        for name, one in found
        for key in one.get("securityContext") or ()
        if key in windows.LINUX_ONLY
    }


@given(strategies.objects(), strategies.policies(), STAGES)
def test_init_containers_get_nothing_unless_asked(obj: Manifest, given: str, stage: str) -> None:
    assume("setup" not in orjson.dumps(obj["metadata"]).decode())
    before = builders.pods_of(obj)
    assume(
        all(
            meta.get("annotations", {}).get(f"{PREFIX}containers") != "setup"
            for meta, _ in before.values()
        )
    )

    after = builders.pods_of(review(obj, given, stage=stage).object)

    for role, (_, spec) in before.items():
        present = spec.get("initContainers", [])
        assert after[role][1].get("initContainers", [])[: len(present)] == present


@given(strategies.objects(), strategies.policies(), STAGES)
def test_every_pointer_of_the_provenance_resolves(obj: Manifest, given: str, stage: str) -> None:
    decision = review(obj, given, stage=stage)

    places = [
        decision.object,
        *({"metadata": m, "spec": s} for m, s in builders.pods_of(decision.object).values()),
    ]
    for pointers in decision.provenance.values():
        for pointer in pointers:
            assert any(resolves(place, pointer) for place in places), pointer


@given(strategies.sparse(strategies.objects()), strategies.policies(), strategies.facts)
def test_an_update_with_the_same_intents_adds_nothing(
    obj: Manifest, given: str, facts: Facts
) -> None:
    stored = mutated(obj, given, facts)

    assert review(stored, given, facts, old=stored).patch == []


@given(strategies.objects(), strategies.policies(), strategies.facts)
def test_a_label_adds_nothing_even_where_nothing_was_ever_injected(
    obj: Manifest, given: str, facts: Facts
) -> None:
    labelled = copy.deepcopy(obj)
    labelled["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), "stage": "prod"}

    assert review(labelled, given, facts, old=obj).patch == []


@given(strategies.sparse(strategies.objects()), strategies.policies(), strategies.facts)
def test_a_put_of_the_plain_object_gives_the_injected_one_back(
    obj: Manifest, given: str, facts: Facts
) -> None:
    assume("'priority':" not in str(obj))  # which nobody can change once a pod is there
    stored = but_kueues(mutated(obj, given, facts))

    decision = review(obj, given, facts, old=stored)

    assert but_kueues(decision.object) == stored
    assert decision.violations == ()


@given(strategies.sparse(strategies.workloads()), strategies.policies(), strategies.facts)
def test_intents_that_go_take_with_them_what_they_brought(
    obj: Manifest, given: str, facts: Facts
) -> None:
    assume(obj["kind"] not in IMMUTABLE)
    plain = without_intents(obj)
    expected = mutated(plain, given, facts)
    stored = mutated(obj, given, facts)

    put = mutated(plain, given, facts, old=stored)
    merged = mutated(without_intents(stored), given, facts, old=stored)

    ends = [lean(but_kueues(one)) for one in (put, merged, expected)]
    assert ends == [ends[0]] * 3


@given(
    strategies.sparse(strategies.workloads()),
    strategies.sparse(strategies.workloads()),
    strategies.policies(),
)
def test_changed_intents_end_where_new_ones_begin(
    obj: Manifest, other: Manifest, given: str
) -> None:
    assume(obj["kind"] not in IMMUTABLE)
    changed = copy.deepcopy(obj)
    changed["metadata"]["annotations"] = other["metadata"].get("annotations", {})
    stored = mutated(obj, given)

    found = mutated(changed, given, old=stored)

    ends = [but_kueues(one) for one in (found, mutated(changed, given))]
    for one in ends:  # that the user's own value was empty before is remembered
        annotations = one["metadata"].get("annotations") or {}
        if INJECTED in annotations:
            annotations[INJECTED] = json.loads(annotations[INJECTED])
            annotations[INJECTED].pop("was", None)
    assert ends[0] == ends[1]


@given(strategies.broken(strategies.objects()), strategies.policies(), STAGES)
def test_objects_of_any_shape_are_decided_on(obj: Any, given: str, stage: str) -> None:
    decision = review(obj, given, stage=stage)

    assert applied(obj, decision) == decision.object
    assert review(decision.object, given, stage=stage).patch == []


@given(
    strategies.broken(strategies.objects()),
    strategies.broken(strategies.objects()),
    strategies.policies(),
)
def test_updates_of_any_shape_are_decided_on(obj: Any, old: Any, given: str) -> None:
    decision = review(obj, given, old=old)

    assert applied(obj, decision) == decision.object


@given(strategies.broken(strategies.objects()), strategies.policies())
def test_what_was_stored_in_any_shape_is_restored(obj: Any, given: str) -> None:
    stored = mutated(obj, given)

    decision = review(obj, given, old=stored)

    assert applied(obj, decision) == decision.object


@given(strategies.objects(), strategies.anything, strategies.policies())
def test_annotations_of_any_shape_are_decided_on(obj: Manifest, value: Any, given: str) -> None:
    for key in (*strategies.VALUES, "injected"):
        odd = copy.deepcopy(obj)
        odd["metadata"]["annotations"] = {PREFIX + key: value}

        decision = review(odd, given)

        assert applied(odd, decision) == decision.object


@given(strategies.objects(), strategies.anything)
def test_provenance_of_any_shape_is_read_without_harm(obj: Manifest, value: Any) -> None:
    odd = copy.deepcopy(obj)
    for text in (value, {"v": 1, "policies": value}, {"v": 1, "policies": {"devices@1": value}}):
        odd["metadata"]["annotations"] = {
            INJECTED: orjson.dumps(text, option=orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
            if fits(text)
            else "x"
        }

        created, updated = review(odd), review(odd, old=odd)

        assert applied(odd, created) == created.object
        assert applied(odd, updated) == updated.object


def fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits
        return False
    return True


def lost(before: Any, after: Any, path: str = "") -> Any:
    """List the places where `after` doesn't say what `before` did."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key != INJECTED:
                yield from lost(value, after.get(key, "(nothing)"), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) <= len(after):
        for index, value in enumerate(before):
            yield from lost(value, after[index], f"{path}/{index}")
    elif before is None:
        return  # null is nothing set
    elif before != after and before not in DEFAULTS:
        yield f"{path}: {before!r} became {after!r}"


def lean(value: Any) -> Any:
    """Leave out maps and lists that hold nothing, and nulls."""
    if isinstance(value, dict):
        found = {key: lean(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one not in ({}, [], None)}
    return [lean(one) for one in value] if isinstance(value, list) else value


def resolves(obj: Any, pointer: str) -> bool:
    node = obj
    for token in tokens(pointer):
        node = lookup(node, (int(token),)) if isinstance(node, list) else lookup(node, (token,))
        if node is None:
            return False
    return True


def without_intents(obj: Manifest) -> Manifest:
    """Take the intents of the workload itself out."""
    found = copy.deepcopy(obj)
    annotations = found["metadata"].get("annotations") or {}
    for key in [key for key in annotations if key.startswith(PREFIX) and key != INJECTED]:
        del annotations[key]
    if not annotations and obj["metadata"].get("annotations"):
        del found["metadata"]["annotations"]
    return found
