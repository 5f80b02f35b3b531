"""What quotas charge, to whom, and what they say: policies as they are written, whole values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from policies import engine, load
from policies.errors import InvalidPolicies
from policies.model import Facts, Manifest, PolicySet, Request, User
from policies.quota import budgets, verdicts
from policies.quota.charges import Charge
from policies.quota.ledger import Short
from tests.builders import container, pod, workload

LIBRARY = load.library()
FACTS = Facts(namespaces={"ml": {"team": "nlp"}})
T4_NODE = {"nvidia.com/gpu.product": "Tesla-T4"}


def policies(text: str) -> PolicySet:
    documents = [
        load.Document(file="quota.yaml", number=number, value=value)
        for number, value in enumerate(yaml.safe_load_all(text), 1)
    ]
    return load.policy_set(documents, base=LIBRARY)


def quota(name: str = "gpus", **spec: Any) -> str:
    return yaml.safe_dump({"kind": "QuotaPolicy", "metadata": {"name": name}, "spec": spec})


def request(obj: Manifest, **members: Any) -> Request:
    group, _, version = obj["apiVersion"].rpartition("/")
    return Request(
        operation=members.pop("operation", "CREATE"),
        group=group,
        version=version,
        kind=obj["kind"],
        namespace="ml",
        name=obj["metadata"]["name"],
        object=obj,
        **members,
    )


def charges(obj: Manifest, text: str, facts: Facts = FACTS) -> tuple[Charge, ...]:
    return engine.charges(request(obj), policies(text), facts)


def charged(obj: Manifest, *keys: str) -> dict[str, int]:
    (found,) = charges(obj, quota(budget=dict.fromkeys(keys, 100)))
    return {name: int(value) for name, value in found.amounts.items()}


def with_devices(number: int = 1, resource: str = "nvidia.com/gpu", **spec: Any) -> Manifest:
    asking = {**container("main"), "resources": {"limits": {resource: str(number)}}}
    return pod(spec={"containers": [asking], **spec})


def in_terms(*terms: list[str]) -> dict[str, Any]:
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": "nvidia.com/gpu.product", "operator": "In", "values": values}
                        ]
                    }
                    for values in terms
                ]
            }
        }
    }


# --- amounts -----------------------------------------------------------------------------------

JOB = workload("Job", accelerator="a100:2")
SUSPENDED = {**JOB, "spec": {**JOB["spec"], "suspend": True}}
CLASSES = ("accelerators", "accelerators.a100", "accelerators.t4", "accelerators.gpu")


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(
            workload("Job", accelerator="a100:2"),
            {"accelerators": 2, "accelerators.a100": 2, "accelerators.gpu": 2},
            id="an intent names its class",
        ),
        pytest.param(
            with_devices(2),
            dict.fromkeys(CLASSES, 2),
            id="devices that may land anywhere count for every class",
        ),
        pytest.param(
            with_devices(nodeSelector=T4_NODE),
            {"accelerators": 1, "accelerators.t4": 1, "accelerators.gpu": 1},
            id="a node selector rules classes out",
        ),
        pytest.param(
            with_devices(affinity=in_terms(["Tesla-T4"], ["NVIDIA-L4"])),
            {"accelerators": 1, "accelerators.t4": 1, "accelerators.gpu": 1},
            id="so does affinity, where every term does",
        ),
        pytest.param(
            with_devices(resource="nvidia.com/mig-1g.10gb"),
            {"accelerators": 1},
            id="another resource is no such class",
        ),
        pytest.param(SUSPENDED, {}, id="suspended: nothing"),
    ],
)
def test_devices_count_by_the_classes_they_may_be_of(
    obj: Manifest, expected: Mapping[str, int]
) -> None:
    assert charged(obj, *CLASSES) == expected


def test_a_deployment_is_charged_with_its_surge_and_says_which_field() -> None:
    obj = workload("Deployment", accelerator="a100:2")
    obj["spec"]["replicas"] = 4

    (found,) = charges(obj, quota(budget={"accelerators.a100": 8, "pods": 10}))

    assert found.amounts == {"accelerators.a100": Decimal(10), "pods": Decimal(5)}
    assert found.steady == {"accelerators.a100": Decimal(8), "pods": Decimal(4)}
    assert found.surge == {"accelerators.a100": Decimal(2), "pods": Decimal(1)}
    assert found.surge_field == "spec.strategy.rollingUpdate.maxSurge"


def test_weights_count_in_the_whole_and_not_by_class() -> None:
    heavy = (
        "kind: Accelerator\nmetadata: {name: a100}\nspec: {resource: nvidia.com/gpu, weight: 4, "
        "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}}\n---\n"
    )
    budget = {"accelerators": 100, "accelerators.a100": 100}

    (found,) = charges(workload("Job", accelerator="a100:2"), heavy + quota(budget=budget))

    assert found.amounts == {"accelerators": Decimal(8), "accelerators.a100": Decimal(2)}


def test_resources_are_those_of_requests_and_may_be_written_as_a_resource_quota_does() -> None:
    obj = with_devices(2)
    obj["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "500m", "memory": "1Gi"}

    (found,) = charges(obj, quota(budget={"requests.nvidia.com/gpu": 8, "cpu": 4, "memory": "8Gi"}))

    assert found.amounts == {
        "nvidia.com/gpu": Decimal(2),
        "cpu": Decimal("0.5"),
        "memory": Decimal(2**30),
    }


# --- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group_by", "group"),
    [
        (None, "ml"),
        ("namespace", "ml"),
        ({"namespaceLabel": "team"}, "nlp"),
        ({"namespaceLabel": "cost-center"}, "<none>"),
        ("queue", "team-a"),
        ("user", "<none>"),
        ("object.metadata.labels.project", "bert"),
        ({"expression": "object.metadata.labels.project"}, "bert"),
        ("object.metadata.labels.nothing", "<none>"),
        ("namespaceObject.metadata.labels.team + '-x'", "nlp-x"),
    ],
)
def test_a_group_is_what_the_policy_says(group_by: Any, group: str) -> None:
    obj = workload("Job", queue="team-a")
    obj["metadata"]["labels"] = {"project": "bert"}
    spec: dict[str, Any] = {"budget": {"pods": 4}}
    if group_by is not None:
        spec["groupBy"] = group_by

    assert [one.group for one in charges(obj, quota(**spec))] == [group]


def test_a_groups_name_is_never_long() -> None:
    obj = workload("Job")

    def group(length: int) -> str:
        obj["metadata"]["annotations"] = {"note": "x" * length}
        spec = {"groupBy": "object.metadata.annotations.note", "budget": {"pods": 4}}
        return charges(obj, quota(**spec))[0].group

    assert group(128) == "x" * 128
    assert group(3000).startswith("x" * 100)
    assert [len(group(length)) for length in (129, 3000, 4000)] == [128] * 3
    assert len({group(129), group(3000), group(4000)}) == 3


def test_who_made_it_is_written_at_its_create_and_kept() -> None:
    by_user = policies(quota(groupBy="user", budget={"pods": 4}))
    plain = workload("Job")
    forged = {**plain, "metadata": {**plain["metadata"], "annotations": {CREATOR: "bob"}}}

    made = [
        engine.review(request(obj, user=User(username="ada")), by_user, FACTS).object
        for obj in (plain, forged)
    ]
    kept = engine.review(
        request(forged, operation="UPDATE", old_object=made[0], user=User(username="bob")),
        by_user,
        FACTS,
    ).object
    missed = engine.review(request(forged, user=User(username="ada")), by_user, FACTS).missed

    assert [one["metadata"]["annotations"] for one in (*made, kept)] == [{CREATOR: "ada"}] * 3
    assert [one.message for one in missed] == [
        f"{CREATOR} doesn't say who makes it: injection was missed, try again"
    ]
    (found,) = engine.charges(request(made[0]), by_user, FACTS)
    assert found.group == "ada"


@pytest.mark.parametrize(
    ("username", "kind", "written"),
    [
        ("ada", "Job", "ada"),
        ("system:serviceaccount:ml:worker", "Job", "system:serviceaccount:ml:worker"),
        ("system:serviceaccount:operators:one", "Job", None),
        ("system:serviceaccount:kube-system:deployment-controller", "ReplicaSet", "bob"),
        # from a template, where anybody may have written a colleague's name
        ("system:serviceaccount:kube-system:cronjob-controller", "Job", None),
        ("system:serviceaccount:kube-system:replicaset-controller", "Pod", None),
    ],
)
def test_an_owner_hides_nobody_but_controllers(
    username: str, kind: str, written: str | None
) -> None:
    by_user = policies(quota(groupBy="user", budget={"pods": 4}))
    plain = pod() if kind == "Pod" else workload(kind)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "u", "controller": True}
    metadata = {**plain["metadata"], "ownerReferences": [owner], "annotations": {CREATOR: "bob"}}
    sent = request({**plain, "metadata": metadata}, user=User(username=username))

    found = engine.review(sent, by_user, FACTS).object["metadata"].get("annotations", {})

    assert found.get(CREATOR) == written


CREATOR = "kubectl-ml.io/creator"


@pytest.mark.parametrize(
    ("match", "covered"),
    [
        ({}, True),
        ({"kinds": ["Pod"]}, True),
        ({"kinds": ["Job.batch"]}, True),
        ({"kinds": ["Deployment.apps"]}, False),
        ({"namespaces": {"names": ["ml-*"]}}, False),
        ({"namespaces": {"selector": {"matchLabels": {"team": "nlp"}}}}, True),
        ({"intents": ["accelerator"]}, False),
        ({"exclude": {"kinds": ["Job.batch"]}}, False),
    ],
)
def test_a_quota_covers_what_it_matches(match: Any, covered: bool) -> None:
    found = charges(workload("Job"), quota(match=match, budget={"pods": 4}))
    assert bool(found) is covered


# --- budgets -----------------------------------------------------------------------------------

TIMES = """
kind: QuotaPolicy
metadata: {name: gpus}
spec:
  budget: {pods: 10, cpu: 4}
  overrides: [{group: "ml-*", budget: {pods: 20}}, {group: ml-big, budget: {pods: 30}}]
  schedules:
    - {name: nights, from: "20:00", to: "06:00", timeZone: Europe/Berlin, budget: {pods: 100}}
    - name: weekend
      days: [Sat, Sun]
      timeZone: Europe/Berlin
      budget: {pods: 50}
      overrides: [{group: ml-big, budget: {pods: 60}}]
"""


@pytest.mark.parametrize(
    ("when", "group", "pods"),
    [
        ("2026-11-25T12:00", "ml", 10),
        ("2026-11-25T12:00", "ml-a", 20),
        ("2026-11-25T12:00", "ml-big", 30),
        ("2026-11-25T19:59", "ml", 10),
        ("2026-11-25T20:00", "ml", 100),
        ("2026-11-26T05:59", "ml", 100),
        ("2026-11-26T06:00", "ml", 10),
        ("2026-11-28T12:00", "ml", 50),
        ("2026-11-28T12:00", "ml-big", 60),
        ("2026-11-30T00:30", "ml", 100),  # Monday
        # The clocks go back at 3:00 and forward at 2:00.
        ("2026-10-25T02:30", "ml", 100),
        ("2026-03-29T03:30", "ml", 100),
        ("2026-03-29T06:00", "ml", 50),
    ],
)
def test_a_budget_goes_by_group_and_hour(when: str, group: str, pods: int) -> None:
    (policy,) = policies(TIMES).quotas
    now = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()

    assert budgets.of(policy, group, now) == {"pods": Decimal(pods), "cpu": Decimal(4)}


def test_without_a_clock_no_schedule_holds() -> None:
    (policy,) = policies(TIMES).quotas
    assert budgets.of(policy, "ml", None) == {"pods": Decimal(10), "cpu": Decimal(4)}


# --- sentences ---------------------------------------------------------------------------------


def short(used: int = 14, reserved: int = 0, asks: int = 4, budget: int = 16) -> Short:
    return Short(
        name="accelerators.a100",
        budget=Decimal(budget),
        used=Decimal(used),
        reserved=Decimal(reserved),
        asks=Decimal(asks),
    )


HOLDERS = [
    ("sweep", {"accelerators.a100": Decimal(6)}),
    ("train-llm", {"accelerators.a100": Decimal(8)}),
]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            short(),
            "team nlp has 14 of 16 a100 in use (train-llm 8, sweep 6); bert asks for 4, 2 too many",
        ),
        (
            short(reserved=1),
            "team nlp has 14 of 16 a100 in use and 1 reserved (train-llm 8, sweep 6); bert asks "
            "for 4, 3 too many",
        ),
        (
            short(used=0, reserved=14),
            "team nlp has 14 of 16 a100 reserved (train-llm 8, sweep 6); bert asks for 4, 2 too "
            "many",
        ),
        (
            short(asks=3),
            "team nlp has 14 of 16 a100 in use (train-llm 8, sweep 6); bert asks for 3 more, 1 too "
            "many",
        ),
    ],
)
def test_a_denial_says_who_holds_what_and_how_much_is_over(found: Short, sentence: str) -> None:
    obj = workload("Job", accelerator="a100:4")
    text = quota(groupBy={"namespaceLabel": "team"}, budget={"accelerators.a100": 16})
    (charge,) = charges(obj, text)

    said = verdicts.over(charge, [found], HOLDERS, "bert")

    assert [(one.policy, one.message, one.code) for one in said] == [("gpus", sentence, 403)]


def test_surge_that_tips_the_scale_is_named_with_its_field() -> None:
    obj = workload("Deployment", accelerator="a100:1")
    obj["spec"]["replicas"] = 4
    (charge,) = charges(obj, quota(budget={"accelerators.a100": 4}))

    (said,) = verdicts.over(charge, [short(used=0, asks=5, budget=4)], [], "bert")

    assert said.message == (
        "namespace ml has 0 of 4 a100 in use; bert asks for 5, 1 too many; 1 of them for a rolling "
        "update: spec.strategy.rollingUpdate.maxSurge: 0 takes them out"
    )


def test_a_workload_alone_can_be_too_much_or_without_bound() -> None:
    text = quota(budget={"accelerators.a100": 16}, perWorkload={"accelerators": 2})
    (job,) = charges(workload("Job", accelerator="a100:4"), text)
    (service,) = charges(workload("Service", accelerator="a100:1"), text)

    said = [
        *verdicts.alone(job, "bert", "Job.batch"),
        *verdicts.alone(service, "reco", "Service.serving.knative.dev"),
    ]

    fix = (
        'set the annotation kubectl-ml.io/scale to "max=N", or the template\'s '
        "autoscaling.knative.dev/max-scale"
    )
    assert [one.message for one in said] == [
        "bert asks for 4 accelerators, and one workload may have 2; ask for 2 less",
        f"reco asks for accelerators and a100 without an upper bound; {fix}",
    ]


def test_what_is_too_much_for_a_workload_by_its_surge_alone_names_the_field() -> None:
    text = quota(budget={"accelerators.a100": 16}, perWorkload={"accelerators": 3})
    (two,) = charges(workload("Deployment", accelerator="a100:2"), text)  # four at the peak
    (four,) = charges(workload("Deployment", accelerator="a100:4"), text)

    said = [one.message for each in (two, four) for one in verdicts.alone(each, "web", "")]

    assert said == [
        "web asks for 4 accelerators, and one workload may have 3; 2 of them for a rolling "
        "update: spec.strategy.rollingUpdate.maxSurge: 0 takes them out",
        "web asks for 8 accelerators, and one workload may have 3; ask for 5 less",
    ]


def test_what_is_measured_is_too_much_and_written_for_people() -> None:
    obj = with_devices(0)
    requests = {"cpu": "3500m", "memory": "1Gi"}
    obj["spec"]["containers"][0]["resources"] = {"requests": requests}
    (charge,) = charges(obj, quota(budget={"cpu": 4, "memory": "1Gi"}))
    shorts = [
        Short(
            name=name,
            budget=charge.amounts[name],
            used=charge.amounts[name] / 2,
            reserved=Decimal(0),
            asks=charge.amounts[name],
        )
        for name in ("cpu", "memory")
    ]

    said = [one.message for one in verdicts.over(charge, shorts, [], "one")]

    assert said == [
        "namespace ml has 1.75 of 3.5 cpu in use; one asks for 3.5, 1.75 too much",
        "namespace ml has 512Mi of 1Gi memory in use; one asks for 1Gi, 512Mi too much",
    ]


def test_a_weighed_amount_says_how_many_devices_it_is() -> None:
    heavy = (
        "kind: Accelerator\nmetadata: {name: a100}\nspec: {resource: nvidia.com/gpu, weight: 4, "
        "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}}\n---\n"
    )
    text = heavy + quota(budget={"accelerators": 6}, perWorkload={"accelerators": 3})
    (charge,) = charges(workload("Job", accelerator="a100:1"), text)
    short = Short(
        name="accelerators", budget=Decimal(6), used=Decimal(4), reserved=Decimal(0),
        asks=Decimal(4),
    )  # fmt: skip

    said = [
        *verdicts.alone(charge, "bert", "Job.batch"),
        *verdicts.over(charge, [short], [("sweep", {"accelerators": Decimal(4)})], "bert"),
    ]

    assert [one.message for one in said] == [
        "bert asks for 4 accelerators (1 device by weight), and one workload may have 3; "
        "ask for 1 less",
        "namespace ml has 4 of 6 accelerators in use (sweep 4); bert asks for 4 (1 device by "
        "weight), 2 too many",
    ]


@pytest.mark.parametrize(
    ("group_by", "group", "words"),
    [
        ("namespace", "ml", "namespace ml"),
        ("user", "ada", "user ada"),
        ("user", "<none>", "group <none> (nobody is known to have made it)"),
        ("queue", "<none>", "group <none> (no queue is named)"),
        ({"namespaceLabel": "example.com/team"}, "nlp", "team nlp"),
        (
            {"namespaceLabel": "example.com/team"},
            "<none>",
            "group <none> (the namespace has no label example.com/team)",
        ),
        ("object.metadata.labels.project", "bert", "group bert"),
        (
            "object.metadata.labels.project",
            "<none>",
            "group <none> (the policy's groupBy gives no name)",
        ),
    ],
)
def test_a_sentence_names_the_group(group_by: Any, group: str, words: str) -> None:
    (policy,) = policies(quota(groupBy=group_by, budget={"pods": 1})).quotas

    assert verdicts.who(policy, group) == words


def test_an_exception_lets_off_until_it_expires() -> None:
    exception = (
        "---\nkind: PolicyException\nmetadata: {name: demo}\nspec: {policies: [gpus], match: "
        '{namespaces: {names: [ml]}}, reason: demo, expires: "2027-01-01T00:00:00Z"}\n'
    )
    text = quota(budget={"pods": 1}) + exception
    now = datetime(2026, 12, 31, tzinfo=ZoneInfo("UTC")).timestamp()

    exempt = [
        charges(workload("Job"), text, replace(FACTS, now=when))[0].exempt
        for when in (now, now + 2 * 86400)
    ]

    assert exempt == [True, False]


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"budget": {"gpus": 8}},
            "spec.budget.gpus: there is no such resource; write accelerators, accelerators.CLASS, "
            "pods, cpu, memory, or one with its domain, such as nvidia.com/gpu",
        ),
        (
            {"budget": {"accelerator.a100": 8}},
            'spec.budget["accelerator.a100"]: write "accelerators" or "accelerators.CLASS"',
        ),
        (
            {"budget": {"limits.cpu": 8}},
            'spec.budget["limits.cpu"]: only requests are counted; write a resource\'s name, pods '
            "or accelerators",
        ),
        (
            {"budget": {"pods": 8}, "match": {"subjects": {"users": ["ada"]}}},
            "spec.match.subjects: what is there can't tell who made it; take it out, or write "
            "groupBy: user",
        ),
        (
            {"budget": {"pods": 8}, "schedules": [{"timeZone": "Berlin", "budget": {"pods": 9}}]},
            'spec.schedules[0].timeZone: there is no time zone "Berlin"; write one such as '
            "Europe/Berlin",
        ),
        (
            {
                "budget": {"pods": 8},
                "schedules": [{"timeZone": "localtime", "budget": {"pods": 9}}],
            },
            'spec.schedules[0].timeZone: there is no time zone "localtime"; write one such as '
            "Europe/Berlin",
        ),
        ({}, "spec: there is nothing that it bounds; add a budget or perWorkload"),
        ({"budget": {}}, "spec.budget: {} is empty; write a value or take it out"),
        (
            {"budget": {"cpu": 4, "requests.cpu": 8}},
            'spec.budget["requests.cpu"]: that is "cpu", which is there already; keep one',
        ),
        (
            {
                "budget": {"pods": 1},
                "overrides": [
                    {"group": "nlp", "budget": {"pods": 2}},
                    {"group": "nlp", "budget": {"pods": 3}},
                ],
            },
            'spec.overrides[1].group: "nlp" has an override already; keep one',
        ),
        (
            {
                "budget": {"pods": 1},
                "schedules": [
                    {
                        "budget": {"pods": 1},
                        "overrides": [{"group": "a*", "budget": {"pods": 2}}] * 2,
                    }
                ],
            },
            'spec.schedules[0].overrides[1].group: "a*" has an override already; keep one',
        ),
        (
            {"budget": {"pods": 1}, "groupBy": "Namespaces"},
            'spec.groupBy: "Namespaces" is none of namespace, user, queue, {namespaceLabel: KEY} '
            'and CEL expressions; did you mean "namespace"?',
        ),
        (
            {"budget": {"pods": 1}, "groupBy": "team"},
            'spec.groupBy: "team" is none of namespace, user, queue, {namespaceLabel: KEY} and CEL '
            "expressions; for a label of the namespace write {namespaceLabel: team}",
        ),
        (
            {"budget": {"pods": 1}, "groupBy": "namespaceLabel: team"},
            'spec.groupBy: "namespaceLabel: team" is none of namespace, user, queue, '
            "{namespaceLabel: KEY} and CEL expressions; for a label of the namespace write "
            "{namespaceLabel: team}",
        ),
        (
            {"budget": {"pods": 1}, "groupBy": {"namespaceLabel": "a", "expression": "'b'"}},
            "spec.groupBy: only one of namespaceLabel, expression may be given; keep one",
        ),
    ],
)
def test_says_what_cannot_be_used(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidPolicies) as raised:
        policies(quota(**spec))

    assert [f"{one.path}: {one.message}" for one in raised.value.faults] == [sentence]


@pytest.mark.parametrize(
    ("condition", "covers"),
    [
        pytest.param("object.metadata.name == 'nobody'", False, id="false"),
        pytest.param("namespaceObject.metadata.labels.team == 'nlp'", True, id="true"),
        pytest.param("object.spec.nope == 1", True, id="what-cant-be-evaluated-counts"),
    ],
)
def test_conditions_of_a_quota(condition: str, covers: bool) -> None:
    text = quota(budget={"pods": 1}, match={"conditions": [condition]})

    assert bool(charges(pod(), text)) is covers


def test_a_quota_has_no_request_to_ask_about() -> None:
    with pytest.raises(InvalidPolicies) as caught:
        policies(quota(budget={"pods": 1}, match={"conditions": ["request.dryRun"]}))

    assert [f"{one.path}: {one.message}" for one in caught.value.faults] == [
        "spec.match.conditions[0]: line 1, column 8 of `request.dryRun`: undeclared reference to "
        "'request.dryRun' (in container '')"
    ]
