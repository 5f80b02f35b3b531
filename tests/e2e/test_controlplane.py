"""What the tests beside this one rely on: the control plane starts, works and leaves nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.controlplane import build, cluster, errors, processes, waiting
from tests.e2e.controlplane.client import Manifest

GPU = "nvidia.com/gpu"


def gpu_pod_spec(gpus: int, **more: object) -> Manifest:
    limits = {GPU: str(gpus), "cpu": "1", "memory": "1Gi"}
    return {
        "containers": [{"name": "main", "image": "train", "resources": {"limits": limits}}],
        "tolerations": [{"key": GPU, "operator": "Exists"}],
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
        **more,
    }


def is_scheduled_nowhere(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each.get("reason") == "Unschedulable" for each in conditions)


def is_complete(job: Manifest) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(each["type"] == "Complete" for each in conditions)


def test_says_the_version_it_is(controlplane: cluster.ControlPlane):
    version = controlplane.admin.get("/version")

    assert version["gitVersion"] == "v1.36.3"
    assert (version["major"], version["minor"]) == ("1", "36")


def test_a_gpu_pod_runs_on_the_node_that_has_the_device(
    controlplane: cluster.ControlPlane, namespace: str
):
    pods = f"/api/v1/namespaces/{namespace}/pods"

    controlplane.admin.create(pods, {"metadata": {"name": "train"}, "spec": gpu_pod_spec(2)})

    pod = controlplane.wait_for(f"{pods}/train", lambda it: it["status"]["phase"] == "Running")
    assert pod["spec"]["nodeName"] == "gpu-a100-0"


def test_a_pod_that_asks_for_more_than_there_is_waits(
    controlplane: cluster.ControlPlane, namespace: str
):
    pods = f"/api/v1/namespaces/{namespace}/pods"

    controlplane.admin.create(pods, {"metadata": {"name": "train"}, "spec": gpu_pod_spec(9)})

    pod = controlplane.wait_for(f"{pods}/train", is_scheduled_nowhere)
    assert pod["status"]["phase"] == "Pending"


def test_a_job_applied_with_kubectl_completes(controlplane: cluster.ControlPlane, namespace: str):
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train", "namespace": namespace},
        "spec": {"template": {"spec": gpu_pod_spec(1, restartPolicy="Never")}},
    }

    said = controlplane.kubectl("apply", "-f", "-", stdin=job)

    assert said == "job.batch/train created\n"
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/train"
    assert controlplane.wait_for(path, is_complete)["status"]["succeeded"] == 1


def test_a_service_account_is_bound_by_its_roles(
    controlplane: cluster.ControlPlane, namespace: str
):
    runner = controlplane.as_service_account(namespace, "runner")

    assert f"system:serviceaccount:{namespace}:runner" in runner.kubectl("auth", "whoami")
    refused = runner.try_kubectl("get", "pods", "-n", namespace)
    assert refused.returncode == 1
    assert "Forbidden" in refused.stderr


def test_a_user_is_in_the_groups_asked_for(controlplane: cluster.ControlPlane):
    anna = controlplane.as_user("anna@example.com", ["ml", "nlp"])

    said = anna.kubectl("auth", "whoami", "-o", "json")

    assert '"username": "anna@example.com"' in said
    assert '"ml"' in said
    assert '"nlp"' in said


def test_a_definition_is_served_once_it_is_loaded(
    controlplane: cluster.ControlPlane, namespace: str, load_crds: Callable[..., None]
):
    load_crds("pytorchjobs.kubeflow.org")
    load_crds("pytorchjobs.kubeflow.org")  # asked for by two tests

    assert controlplane.kubectl("get", "pytorchjobs", "-n", namespace) == ""


def test_a_second_one_runs_beside_it_and_goes_without_a_trace(
    controlplane: cluster.ControlPlane, programs: build.Programs
):
    with cluster.ControlPlane(programs=programs) as second:
        second.add_namespace("only-here")

        names = controlplane.kubectl("get", "namespaces", "-o", "name")

    assert "only-here" not in names
    assert not second.directory.exists()
    assert processes_that_mention(second.directory) == []


def test_the_api_server_comes_back_with_what_it_had(programs: build.Programs):
    with cluster.ControlPlane(programs=programs) as control_plane:
        name = control_plane.add_namespace()
        control_plane.stop_part("kube-apiserver")
        stopped = control_plane.admin.try_kubectl("get", "namespaces")
        control_plane.start_part("kube-apiserver")

        found = control_plane.kubectl("get", "namespace", name, "-o", "name")

    assert "refused" in stopped.stderr
    assert found == f"namespace/{name}\n"


def test_a_part_that_ends_at_once_is_named_and_its_log_stays(
    programs: build.Programs, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    flags = {"kube-apiserver": ["--nonsense"]}
    broken = cluster.ControlPlane(programs=programs, flags=flags, directory=tmp_path / "broken")

    with pytest.raises(errors.StartError, match=r"kube-apiserver ended .*\n.*flag: --nonsense"):
        broken.__enter__()

    assert capsys.readouterr().err == f"the control plane's logs are in {broken.logs}\n"
    assert "unknown flag" in (broken.logs / "kube-apiserver.log").read_text()
    assert [path.name for path in broken.directory.iterdir()] == ["logs"]
    assert processes_that_mention(broken.directory) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_runs_on_when_we_are_ended(
    programs: build.Programs, number: signal.Signals, tmp_path: Path
):
    program = (
        "import signal, time\n"
        # Whoever starts us in the background has Ctrl-C ignored, and we would inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tests.e2e.controlplane import cluster\n"
        "with cluster.ControlPlane() as control_plane:\n"
        "    print(control_plane.directory, flush=True)\n"
        "    time.sleep(60)\n"
    )
    owner = subprocess.Popen(  # noqa: S603 -- this interpreter
        (sys.executable, "-c", program),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=processes.CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        running_before = processes_that_mention(directory)
        owner.send_signal(number)

    waiting.until(lambda: not processes_that_mention(directory), what="all to end")
    waiting.until(
        lambda: [path.name for path in directory.iterdir()] == ["logs"],
        what="all but its logs to go",
    )
    assert len(running_before) == 5


def processes_that_mention(directory: Path) -> list[str]:
    """List the command lines that hold the folder: each part's does."""
    done = subprocess.run(("/bin/ps", "-axww", "-o", "args="), capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if str(directory) in line]
