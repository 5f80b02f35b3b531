"""
The engine in other tools' pipelines: the real kustomize, the real Helm 3 and 4, the real kubectl.

Helm 3 gives a post-renderer no hooks; Helm 4 does.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies import manifests
from tests.e2e import acting
from tests.e2e.controlplane import build, errors, processes
from tests.e2e.controlplane.client import Manifest

BIN = Path(sys.executable).parent
EXAMPLES = processes.CHECKOUT / "examples"
PLUGIN = processes.CHECKOUT / "manifests" / "helm-plugin"
FILTER = tuple(f"--post-renderer-args={arg}" for arg in ("render", "-f", "-"))
JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations: {annotations}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: main, image: x}}]
"""
RENDER = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: Render
metadata:
  name: render
  annotations:
    config.kubernetes.io/function: "exec: {path: ./kubectl-ml-fn}"
spec:
  paths: [policies]
"""
KUSTOMIZATION = "namespace: team\nresources: [job.yaml]\ntransformers: [render.yaml]\n"
CLASS = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: Accelerator
metadata: {name: a100}
spec: {resource: example.com/gpu}
"""
UNKNOWN = 'devices: kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?'


def job(name: str = "bert", accelerator: str = "a100:2", **more: str) -> str:
    annotations = {"kubectl-ml.io/accelerator": accelerator, **more}
    return JOB.format(name=name, annotations=annotations)


@pytest.fixture(scope="module")
def tool(pytestconfig: pytest.Config) -> Callable[[build.Module], str]:
    """Give a tool by its module, built where Go is there."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None

    def find(module: build.Module) -> str:
        with capture.global_and_fixture_disabled():
            try:
                return build.ensure(modules=(module,))[module.gives[0]]
            except errors.NotAvailableError as error:
                pytest.skip(str(error))

    return find


def run(
    *args: str | Path, home: Path, cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- the tools of this test
        [str(arg) for arg in args],
        cwd=cwd,
        input=stdin,
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def limits(one: Manifest) -> Any:
    container = one["spec"]["template"]["spec"]["containers"][0]
    return container.get("resources", {}).get("limits")


@pytest.fixture
def kustomization(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    (folder / "policies").mkdir(parents=True)
    for name, text in {
        "job.yaml": job(),
        "render.yaml": RENDER,
        "kustomization.yaml": KUSTOMIZATION,
        "policies/classes.yaml": CLASS,
        "kubectl-ml-fn": "#!/bin/sh\nexec kubectl-ml fn\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "kubectl-ml-fn").chmod(0o755)
    return folder


def kustomize(tool: Callable[[build.Module], str], folder: Path) -> Any:
    program = tool(build.KUSTOMIZE)
    flags = ("--enable-alpha-plugins", "--enable-exec")
    return run(program, "build", *flags, folder.name, home=folder, cwd=folder.parent)


def test_kustomize(tool: Callable[[build.Module], str], kustomization: Path) -> None:
    done = kustomize(tool, kustomization)

    assert done.returncode == 0, done.stderr
    [built] = manifests.documents(done.stdout)
    assert built["metadata"]["namespace"] == "team"
    assert limits(built) == {"example.com/gpu": "2"}
    assert "config.kubernetes.io" not in done.stdout


def test_kustomize_says_a_refusal(tool: Callable[[build.Module], str], kustomization: Path) -> None:
    (kustomization / "job.yaml").write_text(job(accelerator="a1000"))

    done = kustomize(tool, kustomization)

    assert (done.returncode, done.stdout) == (1, "")
    assert f'error: Job "bert": {UNKNOWN}' in done.stderr


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
    (folder / "templates" / "job.yaml").write_text(job())
    hook = job("hook", "a100:1", **{"helm.sh/hook": "pre-install"})
    (folder / "templates" / "hook.yaml").write_text(hook)
    return folder


def by_name(text: str) -> dict[str, Any]:
    found = [one for one in manifests.documents(text) if one]
    return {one["metadata"]["name"]: limits(one) for one in found}


def test_helm_3(tool: Callable[[build.Module], str], chart: Path) -> None:
    helm = tool(build.HELM_3)
    template = ("template", "demo", chart, "--post-renderer", "kubectl-ml", *FILTER)

    done = run(helm, *template, home=chart.parent)

    assert done.returncode == 0, done.stderr
    assert by_name(done.stdout) == {"bert": {"nvidia.com/gpu": "2"}, "hook": None}


def test_helm_3_says_a_refusal(tool: Callable[[build.Module], str], chart: Path) -> None:
    (chart / "templates" / "job.yaml").write_text(job(accelerator="a1000"))
    template = ("template", "demo", chart, "--post-renderer", "kubectl-ml", *FILTER)

    done = run(tool(build.HELM_3), *template, home=chart.parent)

    assert (done.returncode, done.stdout) == (1, "")
    assert UNKNOWN in done.stderr


def test_helm_4(tool: Callable[[build.Module], str], chart: Path) -> None:
    helm, home = tool(build.HELM_4), chart.parent
    (home / "classes.yaml").write_text(CLASS)
    installed = run(helm, "plugin", "install", PLUGIN, home=home)
    template = ("template", "demo", chart, "--post-renderer", "kubectl-ml")
    policies = f"--post-renderer-args=--policies={home / 'classes.yaml'}"

    done = run(helm, *template, home=home)
    ours = run(helm, *template, policies, home=home)

    assert installed.returncode == 0, installed.stderr
    assert by_name(done.stdout) == {
        "bert": {"nvidia.com/gpu": "2"},
        "hook": {"nvidia.com/gpu": "1"},
    }
    assert by_name(ours.stdout) == {
        "bert": {"example.com/gpu": "2"},
        "hook": {"example.com/gpu": "1"},
    }


def test_helm_4_fails_at_a_refusal(tool: Callable[[build.Module], str], chart: Path) -> None:
    helm, home = tool(build.HELM_4), chart.parent
    run(helm, "plugin", "install", PLUGIN, home=home)
    (chart / "templates" / "job.yaml").write_text(job(accelerator="a1000"))

    done = run(helm, "template", "demo", chart, "--post-renderer", "kubectl-ml", home=home)

    assert (done.returncode, done.stdout) == (1, "")
    assert 'plugin "kubectl-ml" exited with error' in done.stderr


def test_a_filter_before_kubectl_apply(
    programs: build.Programs, plain: acting.Place, tmp_path: Path
) -> None:
    kubectl = programs["kubectl"]
    shutil.copy(EXAMPLES / "job.yaml", tmp_path / "job.yaml")
    (tmp_path / "kustomization.yaml").write_text("resources: [job.yaml]\nnameSuffix: -x\n")
    built = run(kubectl, "kustomize", tmp_path, home=tmp_path)

    policies = ("--policies", EXAMPLES / "policies")
    rendered = run(
        BIN / "kubectl-ml", "render", "-f", "-", *policies, home=tmp_path, stdin=built.stdout
    )
    plain.kubectl("apply", "-f", "-", stdin=rendered.stdout)

    [live] = plain.all("Job")
    assert live["metadata"]["name"] == "resnet-x"
    assert limits(live)["nvidia.com/gpu"] == "2"
