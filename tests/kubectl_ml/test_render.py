"""`kubectl ml render` with policies that change something: what is printed, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import jsonpatch
import pytest

from policies import manifests
from policies.model import Manifest
from tests.kubectl_ml.program import Outcome, invoke

POLICIES = Path(__file__).parent / "testdata" / "policies.yaml"
POD = """\
# licence
---  # the pod
apiVersion: v1
kind: Pod
metadata:
  name: web  # within
spec:
  containers:
  - name: main
    image: x
"""
SERVICE = "---\n# about the service\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"


def render(*args: str | Path, text: str = POD) -> Outcome:
    return invoke(
        "render", "-f", "-", "--no-library", "--policies", POLICIES, *args, stdin=text.encode()
    )


def env(pod: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod["spec"]["containers"][0].get("env", [])}


def test_only_the_changed_document_is_written_anew() -> None:
    outcome = render(text=SERVICE + POD + "\n# last words\n" + SERVICE)

    head, _, tail = outcome.out.partition("kind: Pod\n")
    assert (outcome.code, outcome.err) == (0, "")
    assert head == SERVICE + "# licence\n---  # the pod\napiVersion: v1\n"
    assert tail.endswith("\n# last words\n" + SERVICE)
    assert "    env:\n    - name: TEAM\n      value: ml\n" in tail


@pytest.mark.parametrize("stage", ["template", "admission"])
def test_twice_changes_nothing(stage: str) -> None:
    once = render("--stage", stage)

    twice = render("--stage", stage, text=once.out)

    assert twice == once


def test_line_ends_stay() -> None:
    outcome = render(text=POD.replace("\n", "\r\n"))

    assert outcome.out.replace("\r\n", "\n") == render().out
    assert outcome.out.count("\n") == outcome.out.count("\r\n")


def test_content_on_the_line_of_the_marker_moves_below_it() -> None:
    outcome = render(text="--- {apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}\n...\n")

    assert outcome.out.startswith("---\napiVersion: v1\nkind: Pod\n")
    assert outcome.out.endswith("\n...\n")


def test_objects_of_a_list_change_in_their_places() -> None:
    pod, service = (json.dumps(manifests.documents(text)[-1]) for text in (POD, SERVICE))
    text = f"apiVersion: v1\nkind: List\nitems: [{service}, {pod}, {service}]\n"

    [found] = manifests.documents(render(text=text).out)

    assert [item["kind"] for item in found["items"]] == ["Service", "Pod", "Service"]
    assert env(found["items"][1]) == {"TEAM": "ml"}


def test_objects_of_a_pod_list_need_no_kind() -> None:
    text = "apiVersion: v1\nkind: PodList\nitems: [{spec: {containers: [{name: a}]}}]\n"

    [found] = manifests.documents(render(text=text).out)

    assert env(found["items"][0]) == {"TEAM": "ml"}


def test_json_objects_in_a_row_are_separated_where_one_changes() -> None:
    service = '{"apiVersion":"v1","kind":"Service"}\n'
    pod = '{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"}]}}\n'

    outcome = render(text=service + pod + service)

    assert outcome.out.startswith(service + "---\napiVersion: v1\nkind: Pod\n")
    assert outcome.out.endswith("\n---\n" + service)
    assert len(manifests.documents(outcome.out)) == 3


def test_json_is_one_object_for_one() -> None:
    outcome = render("-o", "json")

    assert env(json.loads(outcome.out)) == {"TEAM": "ml"}
    assert outcome.out.startswith('{\n  "apiVersion": "v1",\n  "kind": "Pod",\n')


def test_json_is_a_list_for_several() -> None:
    inner = "---\napiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret}]\n"

    found = json.loads(render("-o", "json", text=POD + SERVICE + inner).out)

    assert (found["apiVersion"], found["kind"]) == ("v1", "List")
    assert [item["kind"] for item in found["items"]] == ["Pod", "Service", "Secret"]


def test_json_of_nothing_is_an_empty_list() -> None:
    found = json.loads(render("-o", "json", text="# nothing\n").out)

    assert found == {"apiVersion": "v1", "kind": "List", "items": []}


def test_a_patch_is_a_line_for_each_object() -> None:
    unnamed = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {generateName: j-, namespace: ml}\n"
    cluster = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ml}\n"

    outcome = render("-o", "patch", "-n", "web", text=POD + unnamed + cluster)

    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["ref"] for line in lines] == ["Pod/web/web", "Job.batch/ml/j-", "Namespace/ml"]
    assert [bool(line["patch"]) for line in lines] == [True, False, False]
    [before] = [each for each in manifests.documents(POD) if each]
    [after] = [each for each in manifests.documents(render("-n", "web").out) if each]
    assert jsonpatch.apply_patch(before, lines[0]["patch"]) == after


def test_a_diff_shows_what_changes_and_nothing_else() -> None:
    outcome = render("-o", "diff", text=POD + SERVICE)

    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[:2] == [
        "--- standard input: Pod/default/web",
        "+++ standard input: Pod/default/web (rendered)",
    ]
    assert "+    - name: TEAM" in lines
    assert not [line for line in lines if "Service" in line or "\x1b" in line]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(POD, 1, id="something-changes"),
        pytest.param(SERVICE, 0, id="nothing-changes"),
    ],
)
def test_the_exit_code_tells_of_changes_where_asked(text: str, code: int) -> None:
    assert render("-o", "diff", "--exit-code", text=text).code == code


def test_a_refusal_prints_sentences_and_no_manifest() -> None:
    bad = POD.replace("name: web", "name: bad\n  annotations: {kubectl-ml.io/accelerator: a1000}")

    outcome = render(text=POD + bad + bad.replace("a1000", "a100:99"))

    *sentences, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (1, "")
    assert len(sentences) == 2
    assert sentences[0].startswith('error: standard input: Pod "bad": ')
    assert '"a1000"' in sentences[0]
    assert "99" in sentences[1]
    assert hint.startswith("hint: nothing was printed")


def test_a_warning_names_the_object_where_there_are_several() -> None:
    config = (
        "---\napiVersion: v1\nkind: ConfigMap\n"
        "metadata: {name: c, annotations: {kubectl-ml.io/shm: 1Gi}}\n"
    )

    one = render(text=config)
    two = render(text=config + config)

    assert (one.code, one.out, len(one.err.splitlines())) == (0, config, 1)
    assert one.err.startswith("Warning: ")
    assert two.err == one.err.replace("Warning: ", 'Warning: ConfigMap "c": ')


def test_what_a_policy_in_preview_would_add_is_said_and_not_done(tmp_path: Path) -> None:
    policy = tmp_path / "soon.yaml"
    policy.write_text(
        "kind: InjectionPolicy\nmetadata: {name: soon}\n"
        "spec: {mode: Preview, inject: {env: [{name: SOON, value: yes-it-is}]}}\n"
    )
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
        "spec: {containers: [{name: c, image: i}]}\n"
    )

    found = invoke("render", "-f", "-", "--policies", policy, stdin=pod)

    assert (found.code, found.out) == (0, pod)
    assert found.err == "Preview: soon would add /spec/containers/0/env/0\n"


def test_facts_say_which_labels_a_namespace_has(tmp_path: Path) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text("namespaces:\n  eu: {labels: {region: eu}}\n")

    inside = render("--facts", facts, "-n", "eu", "-o", "json")
    outside = render("--facts", facts, "-n", "us", "-o", "json")

    assert env(json.loads(inside.out)) == {"TEAM": "ml", "REGION": "eu"}
    assert env(json.loads(outside.out)) == {"TEAM": "ml"}
    assert "namespace" not in json.loads(inside.out)["metadata"]


def test_facts_say_which_annotations_a_namespace_has(tmp_path: Path) -> None:
    facts, policy = tmp_path / "facts.yaml", tmp_path / "policy.yaml"
    facts.write_text("namespaces:\n  eu: {annotations: {owner: nlp}}\n")
    policy.write_text(
        "{kind: InjectionPolicy, metadata: {name: o}, spec: {inject: {env: [{name: O, value: o}]}, "
        "match: {conditions: [\"namespaceObject.metadata.annotations.owner == 'nlp'\"]}}}"
    )

    found = render("--facts", facts, "-n", "eu", "-o", "json", "--policies", policy)

    assert env(json.loads(found.out))["O"] == "o"


def test_facts_say_what_bounds_pods(tmp_path: Path) -> None:
    facts, job = tmp_path / "facts.yaml", tmp_path / "job.yaml"
    facts.write_text(
        "namespaces:\n"
        "  eu:\n"
        "    limitRanges:\n"
        "    - metadata: {name: bounds}\n"
        "      spec: {limits: [{type: Container, max: {cpu: 2}}]}\n"
        "    resourceQuotas:\n"
        "    - metadata: {name: team}\n"
        "      spec: {hard: {requests.memory: 1Gi}}\n"
    )
    job.write_text(
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: "
        "{restartPolicy: Never, containers: [{name: main, image: a, resources: "
        "{limits: {cpu: 4, memory: 2Gi}}}]}}}}"
    )

    inside = invoke("render", "-f", job, "--facts", facts, "-n", "eu")
    outside = invoke("render", "-f", job, "--facts", facts, "-n", "us")

    assert (inside.code, outside.code, outside.err) == (1, 0, "")
    assert 'than the max 2 of LimitRange "bounds"' in inside.err
    assert 'more than the 1Gi of ResourceQuota "team"' in inside.err


FAULTY_FACTS = [
    pytest.param(
        "kubeversion: '1.30'", 'unknown key "kubeversion"; did you mean "kubeVersion"?', id="key"
    ),
    pytest.param(
        "kubeVersion: 1.30",
        'kubeVersion: 1.3 is no string; write "1.36", in quotes',
        id="number-that-lost-its-zero",
    ),
    pytest.param(
        "kubeVersion: new", 'kubeVersion: "new" is no version; write "1.36"', id="version"
    ),
    pytest.param("installed: kueue", "installed: is no list of strings", id="installed"),
    pytest.param("namespaces: [a]", "namespaces: is no mapping", id="namespaces"),
    pytest.param(
        "namespaces: {a: {label: {}}}",
        'namespaces.a: unknown key "label"; did you mean "labels"?',
        id="labels",
    ),
    pytest.param(
        "namespaces: {a: {labels: {b: 1}}}",
        "namespaces.a.labels.b: 1 is no string; quote it",
        id="label-value",
    ),
    pytest.param(
        "user: {name: a}", 'user: unknown key "name"; did you mean "username"?', id="user"
    ),
    pytest.param(
        "fields: {TrainJobs.trainer.kubeflow.org: podSpecOverrides}",
        'fields: unknown key "TrainJobs.trainer.kubeflow.org"; did you mean '
        '"TrainJob.trainer.kubeflow.org"?',
        id="fields-of-an-unknown-kind",
    ),
    pytest.param(
        "fields: {TrainJob.trainer.kubeflow.org: podOverrides}",
        'fields.TrainJob.trainer.kubeflow.org: "podOverrides" is no field of it; known: '
        "runtimePatches, podTemplateOverrides, podSpecOverrides",
        id="fields-that-are-none",
    ),
    pytest.param(
        "namespaces: {eu: {limitRanges: {a: b}}}",
        "namespaces.eu.limitRanges: is no list of objects",
        id="bounds-that-are-no-list",
    ),
    pytest.param("{", "line 2: did not find expected node content", id="yaml"),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTY_FACTS)
def test_faulty_facts_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text(text + "\n")

    outcome = render("--facts", facts)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[0] == f"error: {facts}: {sentence}"


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (None, "runtimePatches"),
        ("podTemplateOverrides", "podTemplateOverrides"),
        ("podSpecOverrides", "podSpecOverrides"),
    ],
)
def test_facts_say_which_field_a_train_job_has(
    field: str | None, written: str, tmp_path: Path
) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text(f"fields: {{TrainJob.trainer.kubeflow.org: {field}}}" if field else "{}")
    spec = {"runtimeRef": {"name": "torch-distributed"}}
    intents = {"kubectl-ml.io/accelerator": "l4:2"}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "bert", "annotations": intents},
        "spec": spec,
    }

    outcome = invoke(
        *("render", "-f", "-", "--facts", facts, "-o", "json"), stdin=json.dumps(job).encode()
    )

    found = json.loads(outcome.out)
    assert set(found["spec"]) == {"runtimeRef", "trainer", written}


RUNTIME = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {name: mpi, namespace: ml}
spec:
  mlPolicy: {numNodes: 2, mpi: {runLauncherAsNode: true}}
  template:
    spec:
      replicatedJobs:
      - {name: launcher, template: {spec: {template: {spec: {containers: [{name: node}]}}}}}
      - {name: node, template: {spec: {template: {spec: {containers: [{name: node}]}}}}}
"""
MPI_JOB = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: bert, namespace: ml, annotations: {kubectl-ml.io/accelerator: "l4:2"}}
spec: {runtimeRef: {kind: TrainingRuntime, name: mpi}}
"""


@pytest.mark.parametrize(
    ("documents", "facts", "placed", "said"),
    [
        pytest.param([RUNTIME, MPI_JOB], "", 2, "", id="beside-its-runtime"),
        pytest.param(
            [MPI_JOB, RUNTIME],
            "",
            1,
            'Warning: TrainJob "bert": intents: the runtime "mpi", whose launcher is one of the '
            "nodes, comes after this TrainJob, so nothing was added for the launcher; put the "
            "runtime before it\n",
            id="before-its-runtime",
        ),
        pytest.param([MPI_JOB], "launchers: [ml/mpi]", 2, "", id="by-the-facts"),
        pytest.param([MPI_JOB], "launchers: [mpi, nlp/mpi]", 1, "", id="by-others-in-the-facts"),
        pytest.param(
            [RUNTIME.replace("true", "false"), MPI_JOB], "", 1, "", id="beside-one-that-says-no"
        ),
    ],
)
def test_a_launcher_receives_as_its_runtime_says(
    documents: list[str], facts: str, placed: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(facts or "{}")

    outcome = invoke(*("render", "-f", "-", "--facts", file), stdin="---".join(documents).encode())

    assert (outcome.out.count("nvidia.com/gpu.product: NVIDIA-L4"), outcome.err) == (placed, said)


def test_the_version_flag_beats_the_facts(tmp_path: Path) -> None:
    facts = tmp_path / "facts.yaml"
    facts.write_text('kubeVersion: "1.30"\n')
    pod = POD.replace("name: web", "name: web\n  annotations: {kubectl-ml.io/mounts: models:/m}")

    old = render("--facts", facts, "-n", "vision", text=pod)
    new = render("--facts", facts, "-n", "vision", "--kube-version", "v1.36.1-gke.3", text=pod)

    assert (old.code, new.code) == (0, 0)
    assert ("shareProcessNamespace" in old.out, "shareProcessNamespace" in new.out) == (True, False)


def test_every_fault_of_a_policy_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: Accelerator\nmetadata: {name: a}\n"
        "spec: {resource: nvidia.com/gpu, shm: much, maxPerPod: none}\n"
    )

    outcome = invoke("render", "-f", "-", "--policies", tmp_path, stdin=POD.encode())

    *faults, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out, len(faults)) == (1, "", 2)
    assert all(fault.startswith(f"error: {tmp_path}/bad.yaml: document 1") for fault in faults)
    assert hint.startswith("hint: ")


def test_policies_of_a_cluster_that_nobody_named(tmp_path: Path) -> None:
    missing = tmp_path / "config"

    outcome = invoke(
        *("render", "-f", "-", "--policies", "cluster", "--kubeconfig", missing),
        stdin=POD.encode(),
    )

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"error: {missing}: there is no kubeconfig\n"
        "hint: --kubeconfig FILE or the variable KUBECONFIG names yours\n"
    )


DEVICE_CLASS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: h100.dra}
spec: {deviceClassName: gpu.nvidia.com}
"""
CLAIMING = """\
apiVersion: v1
kind: Pod
metadata: {name: bert, namespace: ml, annotations: {kubectl-ml.io/accelerator: "h100.dra:2"}}
spec: {containers: [{name: main, image: x}]}
"""
TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "kubectl-ml-h100.dra-2", "namespace": "ml"},
    "spec": {
        "spec": {
            "devices": {
                "requests": [
                    {
                        "name": "h100-dra",
                        "exactly": {
                            "deviceClassName": "gpu.nvidia.com",
                            "allocationMode": "ExactCount",
                            "count": 2,
                        },
                    }
                ]
            }
        }
    },
}


@pytest.fixture
def device_class(tmp_path: Path) -> Path:
    (tmp_path / "class.yaml").write_text(DEVICE_CLASS)
    return tmp_path


def test_claims_come_with_their_template_once(device_class: Path) -> None:
    once = render("--policies", device_class, text=CLAIMING + "---\n" + CLAIMING)
    twice = render("--policies", device_class, text=once.out)

    found = [each for each in manifests.documents(once.out) if each]
    assert (once.code, once.err, twice) == (0, "", once)
    assert [each["kind"] for each in found] == ["Pod", "Pod", "ResourceClaimTemplate"]
    assert found[2] == TEMPLATE


def test_a_template_is_a_patch_of_nothing(device_class: Path) -> None:
    outcome = render("--policies", device_class, "-o", "patch", text=CLAIMING)

    assert json.loads(outcome.out.splitlines()[1]) == {
        "ref": "ResourceClaimTemplate.resource.k8s.io/ml/kubectl-ml-h100.dra-2",
        "patch": [{"op": "add", "path": "", "value": TEMPLATE}],
    }


def test_admission_says_which_template_the_pods_wait_for(device_class: Path) -> None:
    outcome = render("--policies", device_class, "--stage", "admission", text=CLAIMING)

    assert outcome.err == (
        'Warning: devices: pods with "h100.dra:2" wait for the ResourceClaimTemplate '
        '"kubectl-ml-h100.dra-2" in their namespace; `kubectl ml render` prints it beside the '
        "workload\n"
    )
    assert "ResourceClaimTemplate\n" not in outcome.out
