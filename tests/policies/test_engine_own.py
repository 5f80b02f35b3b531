"""Our own objects as they are applied: refused with every fault, in the sentences of the files."""

from __future__ import annotations

from typing import Any

import pytest

from policies import engine, load
from policies.model import Facts, Request, Violation

LIBRARY = load.library()
GOOD = {"resource": "nvidia.com/gpu", "memory": "80Gi"}


def accelerator(spec: Any, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "Accelerator",
        "metadata": {"name": "mine", "uid": "1", "resourceVersion": "7"},
        "spec": spec,
        **more,
    }


def refusals(obj: Any, old: Any = None) -> tuple[Violation, ...]:
    request = Request(
        operation="UPDATE" if old else "CREATE",
        group="kubectl-ml.io",
        version="v1alpha1",
        kind=obj["kind"],
        name="mine",
        object=obj,
        old_object=old,
    )
    decision = engine.review(request, LIBRARY, Facts())
    assert decision.patch == []
    return decision.violations


def test_an_object_that_can_be_used_is_let_in() -> None:
    assert refusals(accelerator(GOOD, status={"conditions": []})) == ()


def test_every_fault_is_said() -> None:
    assert refusals(
        accelerator({"resource": "nvidia.com/gpu", "memory": "80GB", "shn": "1Gi"})
    ) == (
        Violation(
            policy='Accelerator "mine"',
            message='spec.memory: "80GB" is not a quantity; write for example "80Gi"',
            code=422,
        ),
        Violation(
            policy='Accelerator "mine"',
            message='spec.shn: unknown field "shn"; did you mean "shm"?',
            code=422,
        ),
    )


def test_a_kind_that_is_none_is_refused() -> None:
    obj = accelerator({}) | {"kind": "QuotaPolice"}

    assert refusals(obj) == (
        Violation(
            policy='QuotaPolice "mine"',
            message='kind: there is no kind "QuotaPolice"; did you mean "QuotaPolicy"?',
            code=422,
        ),
    )


@pytest.mark.parametrize(
    ("spec", "refused"),
    [pytest.param({"memory": 1}, 0, id="as-it-was"), pytest.param({"memory": 2}, 1, id="changed")],
)
def test_only_a_changed_spec_is_judged(spec: Any, refused: int) -> None:
    old = accelerator({"memory": 1})

    assert len(refusals(accelerator(spec), old)) == refused


SENT = frozenset({("", "pods", "CREATE"), ("", "pods", "UPDATE"), ("", "services", "DELETE")})


@pytest.mark.parametrize(
    ("match", "sent", "missing"),
    [
        pytest.param({"kinds": ["Pod"]}, SENT, [], id="sent"),
        pytest.param({"kinds": ["Service"], "operations": ["DELETE"]}, SENT, [], id="sent-besides"),
        pytest.param(
            {"kinds": ["Pod", "Service"], "operations": ["CREATE", "DELETE", "CONNECT"]},
            SENT,
            ["DELETE and CONNECT of Pod", "CREATE and CONNECT of Service"],
            id="a-sentence-a-kind",
        ),
        pytest.param({"kinds": ["Secret"]}, None, [], id="not-known"),
        pytest.param({"kinds": ["Secret"]}, frozenset({("*", "*", "*")}), [], id="everything"),
        pytest.param(
            {"kinds": ["Widget.example.com"]},
            frozenset({("example.com", "widgets", "CREATE")}),
            ["UPDATE of Widget.example.com"],
            id="a-kind-whose-resource-nobody-knows",
        ),
    ],
)
def test_a_guard_that_names_what_nothing_sends_is_warned_about(
    match: Any, sent: frozenset[tuple[str, str, str]] | None, missing: list[str]
) -> None:
    spec = {"match": match, "rules": [{"expression": "true"}]}
    obj = {**accelerator(spec), "kind": "GuardPolicy"}
    request = Request(
        operation="CREATE",
        group="kubectl-ml.io",
        version="v1alpha1",
        kind="GuardPolicy",
        name="mine",
        object=obj,
    )

    decision = engine.review(request, LIBRARY, Facts(sent=sent))

    assert (decision.violations, list(decision.warnings)) == (
        (),
        [
            f'GuardPolicy "mine": nothing sends {what} to the webhook; write its registrations '
            "anew: python -m webhook.registrations --policies DIR"
            for what in missing
        ],
    )


BERLIN = {"timeZone": "Europe/Berlin", "budget": {"pods": 9}}


@pytest.mark.parametrize(
    ("schedules", "never"),
    [
        pytest.param([{"days": ["Sat"]}, {"days": ["Sun"]}], [], id="other-days"),
        pytest.param([{}, {"days": ["Sat"]}], [1], id="after-one-that-always-holds"),
        pytest.param([{"days": ["Sat"]}, {}], [], id="before-one-that-always-holds"),
        pytest.param(
            [{"from": "20:00", "to": "06:00"}, {"days": ["Sat"], "from": "01:00", "to": "05:00"}],
            [1],
            id="within-a-night",
        ),
        pytest.param(
            [{"days": ["Sun"], "from": "20:00", "to": "06:00"}, {"days": ["Mon"], "to": "05:00"}],
            [1],
            id="a-night-from-one-week-to-the-next",
        ),
        pytest.param(
            [{"days": ["Sun"], "from": "20:00", "to": "06:00"}, {"days": ["Sun"], "to": "05:00"}],
            [],
            id="the-night-before",
        ),
        pytest.param(
            [{"to": "12:00"}, {"from": "12:00"}, {"days": ["Sat", "Sun"]}], [2], id="under-two"
        ),
        pytest.param(
            [BERLIN | {"to": "12:00"}, {"to": "12:00"}], [], id="clocks-of-another-time-zone"
        ),
        pytest.param([BERLIN, {"to": "12:00"}], [1], id="always-in-any-time-zone"),
    ],
)
def test_a_schedule_that_never_counts_is_warned_about(
    schedules: list[Any], never: list[int]
) -> None:
    quota = {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "QuotaPolicy",
        "metadata": {"name": "mine"},
        "spec": {"schedules": [{"budget": {"pods": 5}, **one} for one in schedules]},
    }
    request = Request(
        operation="CREATE", group="kubectl-ml.io", version="v1alpha1", kind="QuotaPolicy",
        name="mine", object=quota,
    )  # fmt: skip

    assert engine.review(request, LIBRARY, Facts()).warnings == tuple(
        f'QuotaPolicy "mine": spec.schedules[{number}]: those before it hold whenever it would, so '
        "it never counts; put it before them"
        for number in never
    )


def test_a_budget_of_a_class_that_isnt_there_is_warned_about() -> None:
    quota = {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "QuotaPolicy",
        "metadata": {"name": "mine"},
        "spec": {
            "budget": {"accelerators": 8, "accelerators.a1000": 4},
            "overrides": [{"group": "nlp", "budget": {"accelerators.a100": 1, "pods": 3}}],
        },
    }
    request = Request(
        operation="CREATE", group="kubectl-ml.io", version="v1alpha1", kind="QuotaPolicy",
        name="mine", object=quota,
    )  # fmt: skip

    decision = engine.review(request, LIBRARY, Facts())

    assert (decision.violations, decision.warnings) == (
        (),
        (
            'QuotaPolicy "mine": spec.budget["accelerators.a1000"]: there is no device class '
            '"a1000", so this bounds nothing; did you mean "a100"?',
        ),
    )
