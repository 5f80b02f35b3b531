"""`kubectl ml strip`: the manifest as it was, or the reasons why it can't be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies import manifests
from tests.kubectl_ml.program import Outcome, invoke

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: bert
  annotations:
    kubectl-ml.io/accelerator: a100:2
spec:
  template:
    spec:
      containers:
      - name: main
        image: x
      restartPolicy: Never
"""
SERVICE = "# as it was\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
INJECTED = """\
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {kubectl-ml.io/injected: '%s'}}
spec: {containers: [{name: main}]}
"""


def strip(text: str, *args: str) -> Outcome:
    return invoke("strip", "-f", "-", *args, stdin=text)


@pytest.mark.parametrize("stage", ["template", "admission"])
def test_what_was_rendered_comes_out_as_it_went_in(stage: str) -> None:
    rendered = invoke("render", "-f", "-", "--stage", stage, stdin=JOB)

    assert rendered.out != JOB
    assert strip(rendered.out) == Outcome(code=0, out=JOB, err="")


def test_documents_without_anything_of_ours_come_out_byte_for_byte() -> None:
    assert strip(SERVICE + "---\n" + JOB) == Outcome(code=0, out=SERVICE + "---\n" + JOB, err="")


def test_what_was_overridden_is_put_back(tmp_path: Path) -> None:
    policy = (
        "apiVersion: kubectl-ml.io/v1alpha1\nkind: InjectionPolicy\nmetadata: {name: spot}\n"
        "spec: {onConflict: Override, inject: {priorityClassName: low}}\n"
    )
    (tmp_path / "policy.yaml").write_text(policy)
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
        "spec: {priorityClassName: high, containers: [{name: main}]}\n"
    )
    rendered = invoke("render", "-f", "-", "--policies", tmp_path, stdin=pod).out

    found = manifests.documents(strip(rendered).out.encode())

    assert "priorityClassName: low" in rendered
    assert list(found) == list(manifests.documents(pod.encode()))


@pytest.mark.parametrize(
    ("provenance", "sentence"),
    [
        (
            '{"v":1,"policies":{"devices@00000001":[["/spec/nodeSelector/gpu"]]}}',
            "devices: /spec/nodeSelector/gpu is gone, so it was edited since; put it back, "
            "or take out by hand what was added",
        ),
        (
            '{"v":1,"policies":{"mounts@00000001":[],"devices@00000001":[]}}',
            "devices, mounts: more was added than provenance can hold, so it isn't known what; "
            "go back to the manifest that you applied, or take it out by hand",
        ),
        (
            "[]",
            "/metadata/annotations/kubectl-ml.io~1injected can't be read; "
            "undo by hand what was added",
        ),
    ],
)
def test_what_cant_be_undone_is_named_and_nothing_is_printed(
    provenance: str, sentence: str
) -> None:
    outcome = strip(JOB + "---\n" + INJECTED % provenance)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f'error: standard input: Pod "web": {sentence}\nhint: nothing was printed\n'
    )


def test_a_diff_says_what_goes() -> None:
    rendered = invoke("render", "-f", "-", stdin=JOB).out

    outcome = strip(rendered, "-o", "diff")

    assert outcome.out.startswith(
        "--- standard input: Job.batch/default/bert\n"
        "+++ standard input: Job.batch/default/bert (stripped)\n"
    )
    assert '-            nvidia.com/gpu: "2"\n' in outcome.out


def test_usage() -> None:
    outcome = invoke("strip")

    assert outcome.code == 2
    assert "give one of -f and KIND/NAME: what is to be stripped?" in outcome.err


SIDECAR = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {name: log}
spec:
  inject:
    sidecars:
    - container: {name: log, image: "log:1"}
      volumes: [{name: logs, emptyDir: {}}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: main, image: x}], volumes: [{name: mine, emptyDir: {}}]}
"""


@pytest.mark.parametrize(
    ("field", "index"), [("containers", 1), ("volumes", 1)], ids=["containers", "volumes"]
)
def test_an_element_that_took_the_place_of_ours_is_not_removed(
    tmp_path: Path, field: str, index: int
) -> None:
    (tmp_path / "policy.yaml").write_text(SIDECAR)
    rendered = invoke("render", "-f", "-", "--policies", tmp_path, stdin=POD).out
    (pod,) = manifests.documents(rendered.encode())
    pod["spec"][field].reverse()

    outcome = strip(manifests.dump(pod), "--policies", str(tmp_path))

    assert (outcome.code, outcome.out) == (1, "")
    assert (
        f"log: /spec/{field}/{index} was edited since; "
        "put it back, or take out by hand what was added" in outcome.err
    )


def test_a_value_edited_in_place_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(SIDECAR)
    rendered = invoke("render", "-f", "-", "--policies", tmp_path, stdin=POD).out

    outcome = strip(rendered.replace("log:1", "log:2"), "--policies", str(tmp_path))

    assert (outcome.code, outcome.out) == (1, "")
    assert (
        "log: /spec/containers/1 was edited since; "
        "put it back, or take out by hand what was added" in outcome.err
    )


def test_what_a_policy_not_at_hand_added_is_undone_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(SIDECAR)
    rendered = invoke("render", "-f", "-", "--policies", tmp_path, stdin=POD).out

    outcome = strip(rendered)

    assert outcome.code == 0
    assert list(manifests.documents(outcome.out.encode())) == list(
        manifests.documents(POD.encode())
    )
    assert "log: the policies at hand don't add what this one added" in outcome.err


def test_a_device_count_edited_in_place_is_not_removed() -> None:
    rendered = invoke("render", "-f", "-", "--stage", "template", stdin=JOB).out
    (job,) = manifests.documents(rendered.encode())
    job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "3"

    outcome = strip(manifests.dump(job))

    assert (outcome.code, outcome.out) == (1, "")
    assert (
        "devices: /spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu was edited "
        "since; put it back, or take out by hand what was added" in outcome.err
    )


OCI = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    kubectl-ml.io/mounts: oci://registry.example.com/model:1:/models
spec:
  containers:
  - name: main
    image: x
"""


@pytest.mark.parametrize("how", ["--kube-version", "--facts"])
def test_what_was_rendered_for_an_older_version_is_stripped_by_what_is_assumed_of_it(
    tmp_path: Path, how: str
) -> None:
    (tmp_path / "facts.yaml").write_text('kubeVersion: "1.30"\n')
    given = [how, "1.30" if how == "--kube-version" else tmp_path / "facts.yaml"]
    rendered = invoke("render", "-f", "-", *given, stdin=OCI).out

    outcome = invoke("strip", "-f", "-", *given, stdin=rendered)

    assert "name: files-oci-" in rendered
    assert outcome == Outcome(code=0, out=OCI, err="")


def test_a_wrong_version_is_a_usage_error() -> None:
    outcome = strip(JOB, "--kube-version", "new")

    assert outcome.code == 2
    assert '"new" is no version; write it as 1.36' in outcome.err


KIND = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: WorkloadKind
metadata: {name: crawls}
spec:
  kind: Crawl
  group: example.com
  versions: [v1]
  plural: crawls
  roles: [{name: fetcher, podSpec: spec.template.spec, metadata: spec.template.metadata, compute: true}]
"""  # noqa: E501 -- as one writes it
CRAWL = JOB.replace("batch/v1", "example.com/v1").replace("kind: Job", "kind: Crawl")


def test_an_object_of_a_kind_that_is_not_known_is_named_and_not_left_as_if_it_were_plain(
    tmp_path: Path,
) -> None:
    (tmp_path / "kind.yaml").write_text(KIND)
    rendered = invoke("render", "-f", "-", "--policies", tmp_path, stdin=CRAWL).out

    outcome = strip(rendered)

    assert "nvidia.com/gpu" in rendered
    assert outcome == Outcome(
        code=1,
        out="",
        err='error: standard input: Crawl "bert": something was added to it, but '
        "Crawl.example.com is no kind that is known here, so it isn't known where; give its "
        "WorkloadKind with --policies\nhint: nothing was printed\n",
    )
    assert strip(rendered, "--policies", str(tmp_path)) == Outcome(code=0, out=CRAWL, err="")
    assert "  ? something was added to it" in invoke("explain", "-f", "-", stdin=rendered).out
