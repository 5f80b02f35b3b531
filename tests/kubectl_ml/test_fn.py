"""`kubectl-ml fn`: a ResourceList in, a ResourceList out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies import manifests
from policies.model import Manifest
from tests.kubectl_ml.program import Outcome, invoke

JOB = """\
apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
# the training
- apiVersion: batch/v1
  kind: Job # runs once
  metadata:
    name: bert
    namespace: ml
    annotations:
      kubectl-ml.io/accelerator: a100:2 # two of them
      config.kubernetes.io/path: 'bert.yaml'
      config.kubernetes.io/index: '1'
      internal.config.kubernetes.io/path: 'bert.yaml'
      internal.config.kubernetes.io/index: '1'
  spec:
    template:
      spec:
        restartPolicy: Never
        containers:
        - name: main
          image: "x" # pinned elsewhere
# not ours
- apiVersion: v1
  kind: Service
  metadata: {name: s}
"""
CLASS = """\
    - apiVersion: kubectl-ml.io/v1alpha1
      kind: Accelerator
      metadata: {name: a100}
      spec: {resource: example.com/gpu}
"""


def config(spec: str, kind: str = "Render") -> str:
    return f"functionConfig:\n  apiVersion: kubectl-ml.io/v1alpha1\n  kind: {kind}\n  spec:\n{spec}"


def fn(text: str) -> Outcome:
    return invoke("fn", stdin=text.encode())


def read(text: str) -> Manifest:
    [found] = manifests.documents(text)
    assert isinstance(found, dict)
    return found


def container(whole: Manifest) -> Any:
    return whole["items"][0]["spec"]["template"]["spec"]["containers"][0]


def test_every_line_of_the_input_stays_in_its_order() -> None:
    outcome = fn(JOB)

    lines = iter(outcome.out.splitlines())
    assert (outcome.code, outcome.err) == (0, "")
    assert [line for line in JOB.splitlines() if line not in lines] == []
    assert container(read(outcome.out))["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_twice_changes_nothing() -> None:
    once = fn(JOB)

    assert fn(once.out) == once


def test_what_the_policies_leave_alone_comes_out_byte_for_byte() -> None:
    text = "kind: ResourceList\nitems:\n- {kind: Service,   apiVersion: v1} # x\n"

    assert fn(text) == Outcome(code=0, out=text, err="")


def test_inline_policies_replace_the_librarys() -> None:
    outcome = fn(JOB + config("    policies:\n" + CLASS))

    assert container(read(outcome.out))["resources"]["limits"] == {"example.com/gpu": "2"}


@pytest.mark.parametrize("key", ["paths", "policies"])
def test_policies_by_path(key: str, tmp_path: Any) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: Accelerator\nmetadata: {name: a100}\n"
        "spec: {resource: example.com/gpu}\n"
    )

    outcome = fn(JOB + config(f"    {key}: [{json.dumps(str(tmp_path))}]\n"))

    assert container(read(outcome.out))["resources"]["limits"] == {"example.com/gpu": "2"}


@pytest.mark.parametrize(
    "configured",
    [
        config("    stage: admission\n"),
        "functionConfig: {apiVersion: v1, kind: ConfigMap, data: {stage: admission}}\n",
    ],
    ids=["render", "kpt's-config-map"],
)
def test_the_stage(configured: str) -> None:
    outcome = fn(JOB + configured)

    [job, _] = read(outcome.out)["items"]
    assert job["spec"]["template"]["metadata"]["annotations"] == {
        "kubectl-ml.io/accelerator": "a100:2"
    }
    assert "resources" not in container(read(outcome.out))


def test_a_refusal_leaves_the_items_and_is_a_result() -> None:
    text = JOB.replace("a100:2", "a1000:2")

    outcome = fn(text)

    sentence = (
        'devices: kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?'
    )
    assert outcome.code == 1
    assert outcome.err == (
        f'error: bert.yaml: Job "bert": {sentence}\nhint: the items stay as they were\n'
    )
    assert outcome.out.startswith(text + "results:\n")
    assert read(outcome.out)["results"] == [
        {
            "message": sentence,
            "severity": "error",
            "resourceRef": {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": "bert",
                "namespace": "ml",
            },
            "field": {
                "path": 'metadata.annotations["kubectl-ml.io/accelerator"]',
                "currentValue": "a1000:2",
            },
            "file": {"path": "bert.yaml", "index": 1},
        }
    ]


def test_a_warning_is_a_result() -> None:
    text = (
        "kind: ResourceList\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n"
        "    name: s\n    annotations: {kubectl-ml.io/shm: 1Gi}\n"
    )

    outcome = fn(text)

    sentence = "intents: kubectl-ml.io/shm changes nothing here: a Service makes no pods"
    assert (outcome.code, outcome.err) == (0, f'Warning: Service "s": {sentence}\n')
    assert read(outcome.out)["results"] == [
        {
            "message": sentence,
            "severity": "warning",
            "resourceRef": {"apiVersion": "v1", "kind": "Service", "name": "s"},
            "field": {
                "path": 'metadata.annotations["kubectl-ml.io/shm"]',
                "currentValue": "1Gi",
            },
        }
    ]


def test_local_configuration_is_left_alone() -> None:
    text = JOB.replace("a100:2 # two of them", "a1000:2").replace(
        "      config.kubernetes.io/path",
        "      config.kubernetes.io/local-config: 'true'\n      config.kubernetes.io/path",
    )

    assert fn(text) == Outcome(code=0, out=text, err="")


@pytest.mark.parametrize("text", ["kind: ResourceList\n", "kind: ResourceList\nitems: []\n"])
def test_an_empty_list_stays_one(text: str) -> None:
    outcome = fn(text)

    assert (outcome.code, outcome.err) == (0, "")
    assert read(outcome.out)["items"] == []


HINT = (
    "hint: a KRM function reads a ResourceList; kustomize and kpt write it, "
    "see kubectl ml fn --help\n"
)
CONFIG_HINT = (
    "hint: kind: Render has spec: policies, paths, stage, kubeVersion, facts; "
    "see kubectl ml fn --help\n"
)
FACTS_HINT = (
    "hint: facts are kubeVersion, namespaces, user, installed, fields and launchers; "
    "see render --help\n"
)
OBJECT_HINT = "hint: every object is a mapping with apiVersion and kind\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "error: standard input: this is not one ResourceList\n" + HINT),
        ("kind: Pod\n", "error: standard input: this is not one ResourceList\n" + HINT),
        (
            "kind: ResourceList\nitems: {}\nx: [\n",
            "error: standard input: line 4: did not find expected node content\n" + HINT,
        ),
        (
            "kind: ResourceList\nitems: x\n",
            'error: standard input: "items" of the ResourceList is no list\n' + HINT,
        ),
        (
            "kind: ResourceList\nitems: [{kind: Pod}]\n",
            "error: standard input: items[0]: line 1: this document is no Kubernetes object: "
            'it has no "apiVersion"\n' + OBJECT_HINT,
        ),
        (
            "kind: ResourceList\nfunctionConfig: x\n",
            "error: functionConfig: is no mapping\n" + CONFIG_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    stag: x\n"),
            'error: functionConfig: spec: unknown key "stag"; did you mean "stage"?\n'
            + CONFIG_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    stage: x\n"),
            'error: functionConfig: spec.stage: "x" is no stage; write template or admission\n'
            + CONFIG_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    kubeVersion: 1.36\n"),
            'error: functionConfig: spec.kubeVersion: 1.36 is no version; write "1.36", in quotes\n'
            + CONFIG_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    paths: x\n"),
            "error: functionConfig: spec.paths: is no list\n" + CONFIG_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    facts: {user: 1}\n"),
            "error: functionConfig: spec.facts: user: is no mapping\n" + FACTS_HINT,
        ),
        (
            "kind: ResourceList\n" + config("    stage: admission\n", kind="Rendr"),
            "error: functionConfig: Rendr of kubectl-ml.io/v1alpha1 is not known; "
            "write kind: Render of apiVersion: kubectl-ml.io/v1alpha1\n" + CONFIG_HINT,
        ),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_on_stdout(text: str, said: str) -> None:
    assert fn(text) == Outcome(code=1, out="", err=said)
