"""Kinds that an admin declares: found, carried to, injected, counted; and what is wrong said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import engine, load, pod_fields
from policies.errors import InvalidPolicies
from policies.model import Facts, PolicySet, Request
from policies.workloads import catalogue, demand

BERT = {
    "apiVersion": "example.com/v1",
    "kind": "BertJob",
    "metadata": {"name": "b", "annotations": {"kubectl-ml.io/accelerator": "l4:2"}},
    "spec": {
        "driver": {"template": {"spec": {"containers": [{"name": "d"}]}}},
        "workers": [
            {"count": 3, "template": {"spec": {"containers": [{"name": "a"}, {"name": "main"}]}}},
            {"template": {"spec": {"containers": [{"name": "main"}]}}},
        ],
    },
}
ROLES: list[dict[str, Any]] = [
    {
        "name": "worker",
        "template": "$.spec.workers[*].template",
        "replicas": "@.count ?? 1",
        "compute": True,
        "primaryContainer": "main",
    },
    {"name": "driver", "template": "spec.driver.template"},
]


def policies(roles: Any = ROLES, **spec: Any) -> PolicySet:
    value = {
        "kind": "WorkloadKind",
        "metadata": {"name": "bert"},
        "spec": {"group": "example.com", "kind": "BertJob", "roles": roles, **spec},
    }
    document = load.Document(file="k.yaml", number=1, value=value)
    return load.policy_set([document], base=load.library())


def request(obj: Any) -> Request:
    return Request(
        operation="CREATE",
        group="example.com",
        version="v1",
        kind="BertJob",
        namespace="ml",
        object=obj,
    )


def test_its_templates_carry_what_the_object_asks_for() -> None:
    carried = engine.review(request(BERT), policies(), Facts()).object["spec"]

    annotations = [
        one["template"].get("metadata", {}).get("annotations")
        for one in (*carried["workers"], carried["driver"])
    ]
    assert annotations == [*[{"kubectl-ml.io/accelerator": "l4:2"}] * 2, None]


def test_its_compute_roles_are_injected_at_the_primary_container() -> None:
    spec = engine.render(request(BERT), policies(), Facts()).object["spec"]

    devices = [
        [c.get("resources", {}).get("limits") for c in one["template"]["spec"]["containers"]]
        for one in (*spec["workers"], spec["driver"])
    ]
    assert devices == [[None, {"nvidia.com/gpu": "2"}], [{"nvidia.com/gpu": "2"}], [None]]


def test_its_pods_are_counted() -> None:
    known = catalogue.of(policies())
    kind = known.of(BERT)
    assert kind is not None

    found = demand.of(BERT, kind, known, {})

    assert [(role.name, role.peak.pods) for role in found.roles] == [
        ("worker", 3),
        ("worker", 1),
        ("driver", 1),
    ]


@pytest.mark.parametrize(
    ("surge", "worker", "peak"),
    [
        pytest.param({"path": "spec.maxSurge"}, {}, 6, id="nothing-by-default"),
        pytest.param({"path": "spec.maxSurge", "default": "25%"}, {}, 8, id="a-quarter-of-6"),
        pytest.param({"path": "spec.maxSurge", "default": 1}, {}, 7, id="one"),
        pytest.param({"path": "@.maxSurge"}, {"maxSurge": "50%"}, 9, id="its-own"),
        pytest.param({"path": "@.maxSurge", "default": "25%"}, {"maxSurge": 3}, 9, id="a-number"),
    ],
)
def test_a_rolling_update_adds_its_surge(
    surge: dict[str, Any], worker: dict[str, Any], peak: int
) -> None:
    rows = [{**ROLES[0], "maxReplicas": "@.most ?? 0", "surge": surge}]
    template = {"spec": {"containers": [{"name": "main"}]}}
    obj = {**BERT, "spec": {"workers": [{"count": 3, "most": 6, "template": template, **worker}]}}
    known = catalogue.of(policies(rows))
    kind = known.of(obj)
    assert kind is not None

    found = demand.of(obj, kind, known, {})

    assert (found.steady.pods, found.peak.pods) == (3, peak)


@pytest.mark.parametrize(
    ("surge", "message"),
    [
        ({"path": "spec.workers."}, "spec.roles[0].surge.path"),
        ({"path": "spec.maxSurge", "default": "a lot"}, "a lot is no number and no percentage"),
        ({"path": "spec.maxSurge", "default": -1}, "-1 is no number and no percentage"),
        ({}, "spec.roles[0].surge"),
    ],
)
def test_a_surge_that_is_none_is_refused(surge: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPolicies) as error:
        policies([{**ROLES[0], "surge": surge}])

    assert message in str(error.value)


@pytest.mark.parametrize("count", ["spec.workers[*].count ?? 1", "spec.workers.*.count"])
def test_a_count_may_repeat_the_wildcard_of_its_template(count: str) -> None:
    """Who writes the whole path, not `@`, isn't counted as one pod in silence."""
    rows = [{**ROLES[0], "replicas": count, "maxReplicas": "spec.workers[*].most"}]
    template = {"spec": {"containers": [{"name": "main"}]}}
    workers = [{"count": 3, "most": 5, "template": template}, {"template": template}]
    obj = {**BERT, "spec": {"workers": workers}}
    known = catalogue.of(policies(rows))
    kind = known.of(obj)
    assert kind is not None

    found = demand.of(obj, kind, known, {})

    assert [(role.steady.pods, role.peak.pods) for role in found.roles] == [(3, 5), (1, 1)]


def test_without_a_word_about_it_every_role_computes() -> None:
    roles = [{"name": "any", "template": "spec.driver.template"}]

    spec = engine.render(request(BERT), policies(roles), Facts()).object["spec"]

    limits = spec["driver"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": "2"}


def test_it_replaces_a_kind_of_the_same_name() -> None:
    roles = [{"name": "mine", "podSpec": "spec.pods"}]
    known = catalogue.of(policies(roles, group="batch", kind="Job"))

    assert [role.name for role in known.kinds["batch", "Job"].roles] == ["mine"]
    assert [role.name for role in catalogue.builtin().kinds["batch", "Job"].roles] == ["pod"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "spec.worker.template",
            'the path spec.worker.template stopped matching at "spec", which has driver, workers',
        ),
        (
            "spec.workers.*.pod",
            'the path spec.workers.*.pod stopped matching at "spec.workers.*", which has count, '
            "template",
        ),
        (
            "jobs.*.template",
            "the path jobs.*.template stopped matching at the object, which has apiVersion, kind, "
            "metadata, spec",
        ),
    ],
)
def test_a_path_that_matches_nothing_is_said_with_where_it_stopped(
    path: str, sentence: str
) -> None:
    roles = [{"name": "worker", "template": path}]

    decision = engine.review(request(BERT), policies(roles), Facts())

    assert decision.warnings == (f'WorkloadKind "bert": role "worker": {sentence}',)


@pytest.mark.parametrize(
    ("role", "fault"),
    [
        ({"name": "a"}, "spec.roles[0]: write one of template (the path of a PodTemplateSpec) and "
         "podSpec (of a PodSpec)"),
        (
            {"name": "a", "template": "spec..x"},
            'spec.roles[0].template: "spec..x" is no path; write names with dots between, such as '
            "spec.workers.template, and * for every member or element",
        ),
        (
            {"name": "a", "template": "spec.x", "replicas": "spec.y ?? some"},
            'spec.roles[0].replicas: "some" in "spec.y ?? some" is no number',
        ),
        (
            {"name": "a", "template": "spec.x", "container": "y"},
            'spec.roles[0].container: unknown field "container"; write primaryContainer',
        ),
        (
            {"name": "a", "template": "spec.x", "pods": "@.count"},
            'spec.roles[0].pods: unknown field "pods"; write replicas (maxReplicas for the most '
            "that it scales to)",
        ),
        (
            {"name": "a", "template": "spec.x", "count": 3},
            'spec.roles[0].count: unknown field "count"; write replicas (maxReplicas for the most '
            "that it scales to)",
        ),
        (
            {"name": "a", "template": "spec.x", "replicas": True},
            "spec.roles[0].replicas: true is not a number, a path with a default, or a list of "
            'these, whose product it is; write for example "spec.replicas ?? 1"',
        ),
        (
            {"name": "a", "template": "spec.x", "replicas": "3"},
            'spec.roles[0].replicas: "3" is no path; write the number without quotes',
        ),
        (
            {"name": "a", "template": "spec.x", "replicas": ["@.a", "@.b or 1"]},
            'spec.roles[0].replicas: "@.b or 1" is no count; write a number, or a path with a '
            'default, such as "spec.replicas ?? 1" or "@.count ?? 1"',
        ),
        (
            {"name": "a", "template": "spec.x", "replicas": "spec.y ?? -1"},
            'spec.roles[0].replicas: -1 in "spec.y ?? -1" is too small; write 0 or more',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_load(role: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidPolicies) as caught:
        policies([role])

    assert [str(one) for one in caught.value.faults] == [
        f"k.yaml: document 1 (WorkloadKind bert): {fault}"
    ]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"suspend": {}}, "spec.suspend: write one of path and annotation"),
        (
            {"suspend": {"annotation": "a", "equal": "b"}},
            'spec.suspend.equal: unknown field "equal"; known are path, annotation, equals',
        ),
        (
            {"suspend": "spec..paused"},
            'spec.suspend: "spec..paused" is no path; write names with dots between, such as '
            "spec.workers.template, and * for every member or element",
        ),
        ({"earlyWhere": {}}, "spec.earlyWhere: one of path, annotation is missing; add it"),
        ({"replicas": 3}, 'spec.replicas: unknown field "replicas"; write it in each of roles'),
    ],
)
def test_what_is_wrong_with_the_kind_is_said_at_load(spec: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidPolicies) as caught:
        policies(**spec)

    assert [str(one) for one in caught.value.faults] == [
        f"k.yaml: document 1 (WorkloadKind bert): {fault}"
    ]


def test_what_the_catalogue_says_of_early_and_rejected_fields_a_custom_kind_says_too() -> None:
    """As for a kind whose controller reads the devices of only some of its objects."""
    roles = [{**ROLES[0], "rejects": ["containers"]}]
    known = policies(roles, earlyWhere={"path": "spec.driver"})
    intents = {"kubectl-ml.io/accelerator": "l4:2", "kubectl-ml.io/sidecars": "logs"}
    obj = {**BERT, "metadata": {"name": "b", "annotations": intents}}

    (early, _), (late, _) = (
        engine.review(request(one), known, Facts()).object["spec"]["workers"]
        for one in (obj, {**obj, "spec": {"workers": BERT["spec"]["workers"]}})
    )

    containers = early["template"]["spec"]["containers"]
    assert [one["name"] for one in containers] == ["a", "main"]
    assert containers[1]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert late["template"]["spec"] == BERT["spec"]["workers"][0]["template"]["spec"]


def test_the_catalogue_is_yaml_that_every_parser_reads() -> None:
    """libyaml takes `{a: b ?? 1}`, which the specification and other parsers don't."""
    text = catalogue.SOURCE.read_text()

    assert yaml.load(text, yaml.SafeLoader) == yaml.load(text, yaml.CSafeLoader)


def test_what_is_read_of_the_catalogue_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/catalogue_json.py"], cwd=Path(__file__).parents[3],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert catalogue.MADE.read_text() == done.stdout, "stale: run `make generate`"
    assert json.loads(done.stdout) == yaml.safe_load(catalogue.SOURCE.read_text())


DRIVER = {"name": "driver", "template": "spec.driver.template"}


@pytest.mark.parametrize(
    ("roles", "obj", "said"),
    [
        pytest.param(
            [ROLES[0], {"name": "driver", "template": "spec.drivers.template"}],
            BERT,
            [
                'role "driver": the path spec.drivers.template stopped matching at "spec", which '
                "has driver, workers"
            ],
            id="one-of-two",
        ),
        pytest.param(
            [
                ROLES[0],
                {"name": "a", "template": "spec.a"},
                {"name": "b", "podSpec": "spec.driver"},
            ],
            BERT,
            [
                'role "a": the path spec.a stopped matching at "spec", which has driver, workers',
            ],
            id="with-a-pod-that-no-role-finds",
        ),
        pytest.param(
            [{"name": one, "template": "spec.worker.template"} for one in ("one", "two")],
            BERT,
            [
                f'role "{one}": the path spec.worker.template stopped matching at "spec", which '
                "has driver, workers"
                for one in ("one", "two")
            ],
            id="two-of-two",
        ),
        pytest.param(
            ROLES,
            {**BERT, "spec": {"workers": BERT["spec"]["workers"]}},
            [],
            id="a-role-that-is-not-there",
        ),
        pytest.param(
            [ROLES[0], {"name": "driver", "template": "spec.driver"}],
            {
                **BERT,
                "spec": {
                    "workers": BERT["spec"]["workers"],
                    "driver": {"pod": {"containers": [{"name": "d"}]}},
                },
            },
            [
                'role "driver": the path spec.driver stopped matching at "spec.driver", which has '
                "pod"
            ],
            id="below-its-path",
        ),
    ],
)
def test_a_wrong_path_beside_a_right_one_is_said(
    roles: list[dict[str, Any]], obj: Any, said: list[str]
) -> None:
    given = policies(roles)
    known = catalogue.of(given)
    kind = known.of(obj)
    assert kind is not None
    wanted = [f'WorkloadKind "bert": {one}' for one in said]

    reviewed = engine.review(request(obj), given, Facts()).warnings
    counted = demand.of(obj, kind, known, {}).notes

    assert ([one for one in reviewed if "WorkloadKind" in one], list(counted)) == (wanted, wanted)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            {"roles": [{**DRIVER, "rejects": ["nodeSelector", "volume"]}]},
            'spec.roles[0].rejects[1]: there is no pod field "volume"; did you mean "volumes"?',
        ),
        (
            {"roles": [{**DRIVER, "rejects": ["volumes.hostpath"]}]},
            'spec.roles[0].rejects[0]: there is no pod field "volumes.hostpath"; did you mean '
            '"hostPath"?',
        ),
        (
            {"roles": [{**DRIVER, "rejects": ["gpus"]}]},
            'spec.roles[0].rejects[0]: there is no pod field "gpus"; write one of a pod\'s spec, '
            "containers or metadata",
        ),
        (
            {"roles": [{**DRIVER, "rejects": ["spec.volumes"]}]},
            'spec.roles[0].rejects[0]: "spec.volumes" is no part of a pod that is told apart; '
            "parts are of containers, env.valueFrom, initContainers, volumes",
        ),
        (
            {"roles": [DRIVER], "rejects": ["node-selector"]},
            'spec.rejects[0]: there is no pod field "node-selector"; did you mean "nodeSelector"?',
        ),
        (
            {"roles": [DRIVER], "accepts": ["resource"]},
            'spec.accepts[0]: there is no pod field "resource"; did you mean "resources"?',
        ),
    ],
)
def test_a_field_that_no_pod_has_is_said_at_load(spec: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidPolicies) as caught:
        policies(**spec)

    assert [str(one) for one in caught.value.faults] == [
        f"k.yaml: document 1 (WorkloadKind bert): {fault}"
    ]


def test_every_field_that_the_catalogue_names_may_be_named() -> None:
    for kind in catalogue.builtin().kinds.values():
        for field in sorted(kind.rejects.union(*(role.rejects for role in kind.roles))):
            pod_fields.read(field)
        for field in sorted(kind.accepts or ()):
            pod_fields.read_whole(field)
