"""
`kubectl ml train`: flags become objects, told by the files in `testdata/train`.

`UPDATE_GOLDEN=1` writes what comes out. What the policies make of the objects is tested elsewhere:
here they are as a cluster with a webhook gets them, with intents alone.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from policies import manifests
from tests.kubectl_ml.program import Outcome, invoke

GOLDEN = Path(__file__).parent / "testdata" / "train"
CRDS = Path(__file__).parents[3] / "shared" / "crds"

BERT = "train bert --image pytorch/pytorch"
EVERYTHING = (
    "--accelerator a100:2,rdma:2 --nodes 4 --cpus 16 --memory 128Gi --shm 16Gi "
    "--mount imagenet:/data:ro --mount scratch://100Gi:/tmp/work --volume 200Gi:/out,class=fast "
    "--env LR=0.1 --env EMPTY= --queue team-a --sidecar tensorboard --experiment bert-42"
)
RETRIED = "--retries 2 --max-time 24h"

CASES = {
    "job-plain": f"{BERT} --backend job -- python train.py",
    "job-image-alone": f"{BERT} --backend job",
    "job-everything": f"{BERT} --backend job {EVERYTHING} {RETRIED} -- torchrun train.py --lr 0.1",
    "job-one-node-retried": f"{BERT} --backend job {RETRIED} -- python train.py",
    "job-elastic": (
        f"{BERT} --backend job --elastic 2:8 --accelerator a100 --retries 3 -- torchrun train.py"
    ),
    "job-processes": f"{BERT} --backend job --nodes 2 --nproc-per-node auto -- torchrun train.py",
    "job-own-variables": (
        f"{BERT} --backend job --nodes 2 --env MASTER_PORT=1234 --env RANK=7 -- torchrun train.py"
    ),
    "jobset-everything": f"{BERT} --backend jobset {EVERYTHING} {RETRIED} -- torchrun train.py",
    "jobset-one-node": f"{BERT} --backend jobset -- python train.py",
    "pytorchjob-everything": (
        f"{BERT} --backend pytorchjob {EVERYTHING} {RETRIED} -- torchrun train.py"
    ),
    "pytorchjob-one-node": f"{BERT} --backend pytorchjob -- python train.py",
    "pytorchjob-elastic": f"{BERT} --backend pytorchjob --elastic 1:4 -- torchrun train.py",
    "trainjob-everything": (
        f"{BERT} --backend trainjob {EVERYTHING} --max-time 1h30m -- torchrun train.py"
    ),
    "trainjob-runtime": f"{BERT} --backend trainjob --runtime deepspeed --nproc-per-node auto",
}


def train(command: str, *more: str, env: dict[str, str] | None = None) -> Outcome:
    flags, dashes, rest = command.partition(" -- ")
    return invoke(
        *shlex.split(flags), *more, *(["--", *shlex.split(rest)] if dashes else []), env=env
    )


def uninjected(command: str) -> Outcome:
    return train(command, "--dry-run=client", "--inject=server", "-o", "yaml")


@pytest.mark.parametrize("case", CASES)
def test_flags_become_objects(case: str) -> None:
    file = GOLDEN / f"{case}.yaml"

    outcome = uninjected(CASES[case])

    assert (outcome.code, outcome.err.splitlines()[:-1]) == (0, [])
    text = f"# kubectl ml {CASES[case]}\n{outcome.out}"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_every_golden_file_is_a_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("job-")])
def test_workloads_are_what_their_definitions_ask_for(case: str) -> None:
    workload = manifests.documents((GOLDEN / f"{case}.yaml").read_bytes())[0]

    jsonschema.Draft202012Validator(_definition(workload)).validate(workload)


def _definition(found: Any) -> Any:
    group, _, version = found["apiVersion"].rpartition("/")
    file = CRDS / f"{found['kind'].lower()}s.{group}.json"
    if not file.exists():
        pytest.skip(f"needs ../shared/crds/{file.name} beside the checkout")
    versions = json.loads(file.read_text())["spec"]["versions"]
    schema = next(each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == version)
    return _strict(schema)


def _strict(schema: Any) -> Any:
    """Refuse fields that the definition doesn't have, which an API server would drop."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        found["additionalProperties"] = schema.get("x-kubernetes-preserve-unknown-fields", False)
    return found


# --- what is decided --------------------------------------------------------------------------


def test_without_a_cluster_a_job_trains_and_that_is_said() -> None:
    outcome = train(f"{BERT} --nodes 2", "--dry-run=client")

    assert (outcome.code, outcome.out) == (
        0,
        "job.batch/bert created (dry run)\nservice/bert created (dry run)\n",
    )
    assert outcome.err.splitlines() == [
        "backend job: --dry-run=client asks no cluster; --backend names another",
        "next: the same without --dry-run",
    ]


def test_without_a_cluster_the_plugin_injects() -> None:
    outcome = train(f"{BERT} --accelerator a100:2", "--dry-run=client", "-o", "json")

    [container] = json.loads(outcome.out)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_a_variable_without_a_value_is_the_one_of_this_terminal() -> None:
    outcome = train(f"{BERT} --env TOKEN", "--dry-run=client", "-o", "json", env={"TOKEN": "x y"})

    [container] = json.loads(outcome.out)["spec"]["template"]["spec"]["containers"]
    assert {"name": "TOKEN", "value": "x y"} in container["env"]


def test_the_namespace_is_the_one_named() -> None:
    outcome = train(f"{BERT} -n team --nodes 2 --volume 1Gi:/o", "--dry-run=client", "-o", "json")

    items = json.loads(outcome.out)["items"]
    assert {each["metadata"]["namespace"] for each in items} == {"team"}


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        pytest.param(
            "train Bert --image x",
            '"Bert" can\'t be a name: up to 50 lower case letters, digits and "-", '
            "beginning with a letter",
            id="name",
        ),
        pytest.param("train bert", "missing option '--image'", id="no-image"),
        pytest.param(
            f"{BERT} --accelerator a100:none",
            '--accelerator "a100:none": the count "none" is not a whole number from 1 to 999',
            id="accelerator",
        ),
        pytest.param(
            f"{BERT} --mount imagenet",
            '--mount "imagenet": "imagenet" has no path; write "imagenet:/path"',
            id="mount",
        ),
        pytest.param(
            f"{BERT} --mount imagenet:/out --volume 1Gi:/out",
            '"/out" is mounted twice; give each --mount and --volume a path of its own',
            id="path-twice",
        ),
        pytest.param(
            f"{BERT} --volume /out", '--volume "/out": write SIZE:/PATH, such as 200Gi:/out',
            id="volume",
        ),
        pytest.param(
            f"{BERT} --volume lots:/out",
            '--volume "lots" is not a quantity; write 64Gi',
            id="volume-size",
        ),
        pytest.param(
            f"{BERT} --volume 1Gi:/out,fast",
            '--volume "1Gi:/out,fast": "fast" is not class=NAME',
            id="volume-class",
        ),
        pytest.param(
            f"{BERT} --volume 1Gi:/a/b --volume 1Gi:/a-b",
            '--volume "1Gi:/a-b": another one has the claim "bert-a-b"',
            id="claim-twice",
        ),
        pytest.param(
            f"{BERT} --env 1X=2",
            '--env "1X=2": write NAME=VALUE, or NAME for the value here',
            id="variable",
        ),
        pytest.param(
            f"{BERT} --env NOT_SET_HERE",
            '--env "NOT_SET_HERE": there is no such variable here; write NOT_SET_HERE=VALUE',
            id="variable-not-set",
        ),
        pytest.param(
            f"{BERT} --nproc-per-node many",
            '--nproc-per-node "many" is neither a number from 1 to 999 nor auto',
            id="processes",
        ),
        pytest.param(
            f"{BERT} --elastic 4:2",
            '--elastic "4:2" is not MIN:MAX, two numbers of nodes; write 2:8',
            id="elastic",
        ),
        pytest.param(
            f"{BERT} --elastic 2:4 --nodes 4",
            "--nodes doesn't go with --elastic, which says how many: leave it",
            id="elastic-and-nodes",
        ),
        pytest.param(
            f"{BERT} --max-time soon",
            "invalid value for '--max-time': \"soon\" is not a duration; write 90s or 1h30m",
            id="max-time",
        ),
        pytest.param(
            f"{BERT} --cpus four", '--cpus "four" is not a quantity; write 2 or 500m', id="cpus"
        ),
        pytest.param(
            f"{BERT} --follow --dry-run=client",
            "--follow doesn't go with --dry-run, which runs nothing",
            id="follow-a-dry-run",
        ),
    ],
)  # fmt: skip
def test_wrong_flags_are_told_in_a_sentence(flags: str, sentence: str) -> None:
    outcome = train(flags)

    assert (outcome.code, outcome.out, outcome.err.splitlines()) == (
        2,
        "",
        [f"error: {sentence}", "hint: see 'kubectl ml train --help' for usage and examples"],
    )


@pytest.mark.parametrize(
    ("flags", "sentences"),
    [
        pytest.param(
            "--backend trainjob --elastic 1:2 --retries 1",
            [
                "--elastic: a TrainJob has a fixed number of nodes",
                "--retries: a TrainJob starts anew as often as its runtime (torch-distributed) "
                "says",
            ],
            id="what-a-trainjob-cannot-say",
        )
    ],
)
def test_what_a_backend_cannot_say_is_refused(flags: str, sentences: list[str]) -> None:
    outcome = train(f"{BERT} {flags}", "--dry-run=client")

    assert (outcome.code, outcome.out, outcome.err.splitlines()) == (
        1,
        "",
        [
            *(f"error: {each}" for each in sentences),
            "hint: choose another --backend, or leave that flag out",
        ],
    )


def test_an_unknown_class_is_refused_where_the_plugin_injects() -> None:
    outcome = train(f"{BERT} --accelerator a1000", "--dry-run=client")

    assert (outcome.code, outcome.out) == (1, "")
    assert "a1000" in outcome.err.splitlines()[1]


@pytest.mark.parametrize("flags", [(), ("-n", "team")])
def test_only_a_namespace_that_was_named_is_written(flags: tuple[str, ...]) -> None:
    outcome = invoke("train", "bert", "--image", "x", "--dry-run=client", "-o", "yaml", *flags)

    assert ("namespace: team" in outcome.out, "namespace: default" in outcome.out) == (
        bool(flags),
        False,
    )


def test_claims_come_with_the_template_that_they_are_made_from(tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: Accelerator\nmetadata: {name: h100.dra}\n"
        "spec: {deviceClassName: gpu.nvidia.com}\n"
    )

    outcome = invoke(
        *("train", "bert", "--image", "x", "--accelerator", "h100.dra:4", "-n", "team"),
        *("--policies", tmp_path, "--dry-run=client", "-o", "yaml"),
    )

    found = [each for each in manifests.documents(outcome.out) if each]
    assert outcome.code == 0
    assert [each["kind"] for each in found] == ["Job", "ResourceClaimTemplate"]
    assert found[1]["metadata"] == {"name": "kubectl-ml-h100.dra-4", "namespace": "team"}
    assert "wait for the ResourceClaimTemplate" not in outcome.err
