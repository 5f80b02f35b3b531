"""`checks.accelerators`, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.guard.cases import container, job, pod, policies, review, said, twice

GPU = "nvidia.com/gpu"
ONE = {"limits": {GPU: 1}}


def gpus(count: int) -> dict[str, Any]:
    return {"limits": {GPU: count}, "requests": {GPU: count}}


@pytest.mark.parametrize(
    ("check", "given", "sentences"),
    [
        pytest.param("{}", pod(), [], id="no-devices"),
        pytest.param("{}", pod(intents={"accelerator": "big:2"}), [], id="a-class"),
        pytest.param("{}", pod(intents={"accelerator": "claimed:2"}), [], id="by-claim"),
        pytest.param(
            "true", pod(container(**ONE)),
            ['container "main" asks for nvidia.com/gpu: 1 without a device class; '
             'write the annotation kubectl-ml.io/accelerator: "plain:1"'],
            id="no-class",
        ),
        pytest.param(
            "{}", pod(container(limits={"nvidia.com/mig-9g.1gb": "1"})),
            ['container "main" asks for nvidia.com/mig-9g.1gb: 1, which no device class gives; '
             "ask for a class (`kubectl ml classes` lists those that exist, with `--policies "
             "cluster` the cluster's, too)"],
            id="of-no-class",
        ),
        pytest.param(
            "{}", pod(container(limits={"smarter-devices/fuse": 1})), [], id="of-another-vendor"
        ),
        pytest.param("{requireClass: false}", pod(container(**gpus(1))), [], id="class-not-asked"),
        pytest.param(
            "{}", pod(intents={"accelerator": "bigg"}),
            ['kubectl-ml.io/accelerator asks for class "bigg", which doesn\'t exist; '
             'did you mean "big"?'],
            id="unknown-class",
        ),
        pytest.param(
            "{}", pod(container(**gpus(3)), intents={"accelerator": "big:1"}),
            ['the pod asks for 3 devices of class "big", more than the 2 that '
             "it can have; ask for fewer"],
            id="more-than-the-class-has",
        ),
        pytest.param(
            "{}",
            pod(
                container("a", **gpus(1)),
                container("b", **gpus(2)),
                intents={"accelerator": "big"},
            ),
            ['the pod asks for 3 devices of class "big", more than the 2 that '
             "it can have; ask for fewer"],
            id="more-in-all-containers",
        ),
        pytest.param(
            "{maxPerPod: 1}", pod(intents={"accelerator": "plain:2"}),
            ['the pod asks for 2 devices of class "plain", more than the 1 that '
             "it can have; ask for fewer"],
            id="more-than-the-check-has",
        ),
        pytest.param(
            '{maxPerPod: {"p*": 3}}', pod(intents={"accelerator": "plain:2"}), [], id="by-class"
        ),
        pytest.param(
            "{}",
            pod(
                container(requests={GPU: "1"}),
                intents={"accelerator": "plain:1", "inject": "false"},
            ),
            ['container "main" asks for nvidia.com/gpu: 1 in resources.requests alone; '
             "write it in resources.limits too"],
            id="no-limit",
        ),
        pytest.param(
            "{classes: [plain]}", pod(intents={"accelerator": "big"}),
            ['class "big" is none of plain; name one that is'],
            id="not-listed",
        ),
        pytest.param(
            '{deny: ["b*"]}', pod(intents={"accelerator": "big"}),
            ['class "big" is denied; name another'],
            id="denied",
        ),
        pytest.param(
            "{classes: {allow: [big, plain]}}", pod(intents={"accelerator": "big"}), [],
            id="allowed",
        ),
        pytest.param(
            "{classes: [plain, {name: big, namespaces: [nlp-*]}]}",
            pod(intents={"accelerator": "big"}),
            ['class "big" may not be used in namespace "ml"; name another'],
            id="in-another-namespace",
        ),
        pytest.param(
            "{classes: [{name: big, namespaces: [m*]}]}", pod(intents={"accelerator": "big"}), [],
            id="in-its-namespace",
        ),
        pytest.param(
            "{namespaces: {names: [nlp-*]}}", pod(intents={"accelerator": "big"}),
            ['class "big" may not be asked for in namespace "ml"; take it out'],
            id="a-namespace-without-devices",
        ),
        pytest.param(
            "{}",
            pod(resourceClaims=[{"name": "x", "resourceClaimTemplateName": "mine"}]),
            ['resource claim "x" (template "mine") is of no device class; take it out and write '
             "the annotation kubectl-ml.io/accelerator (`kubectl ml classes` lists those that "
             "exist, with `--policies cluster` the cluster's, too)"],
            id="a-claim-of-ones-own",
        ),
    ],
)  # fmt: skip
def test_devices(check: str, given: Any, sentences: list[str]) -> None:
    known = policies(f"{{accelerators: {check}}}")

    assert twice(known, given) == sentences
    assert said(known, job(given)) == sentences


def test_what_a_policy_gives_by_default_is_not_refused() -> None:
    default = (
        "{kind: InjectionPolicy, metadata: {name: d}, spec: "
        "{match: {namespaces: [ml]}, inject: {accelerator: 'plain:1'}}}"
    )
    known = policies("{accelerators: {classes: [plain]}}", default)

    assert twice(known, pod()) == []
    assert said(known, job(pod())) == []


def test_an_intent_of_the_workload_counts() -> None:
    known = policies("{accelerators: {deny: [big]}}")

    found = said(known, job(pod(), accelerator="big"))

    assert found == ['class "big" is denied; name another']


def test_only_what_changed_is_judged() -> None:
    known = policies("{accelerators: {}}")
    old = job(pod(container(**ONE)))
    same = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    worse = job(pod(container(**ONE), container("b", **ONE)))

    assert said(known, same, old=old) == []
    assert said(known, worse, old=old) == [
        'container "b" asks for nvidia.com/gpu: 1 without a device class; '
        'write the annotation kubectl-ml.io/accelerator: "plain:1"'
    ]


@pytest.mark.parametrize("enforcement", ["Warn", "Audit"])
def test_enforcement_and_exceptions(enforcement: str) -> None:
    let_off = (
        "{kind: PolicyException, metadata: {name: e}, spec: {policies: [g], "
        "rules: [accelerators], match: {namespaces: [lab]}, reason: r}}"
    )
    known = policies("{accelerators: {}}", let_off, enforcement=enforcement)

    found, lab = (review(known, pod(container(**ONE)), namespace=one) for one in ("ml", "lab"))

    kept = found.warnings if enforcement == "Warn" else found.audits
    assert (len(kept), found.violations, lab.warnings, lab.audits) == (1, (), (), ())


def test_a_guard_that_names_a_workload_judges_its_templates() -> None:
    known = policies("{accelerators: {}}", match="{kinds: [Job.batch]}")

    assert len(said(known, job(pod(container(**ONE))))) == 1
    assert said(known, pod(container(**ONE))) == []
