"""
Some sixty manifests through all ways there are, and back.

The engine, `render`, a filter, `fn`, the real kustomize and the post-renderer of the real Helm
give the same objects; `strip` gives back what was written, empty values and all; what an older
set of policies injected comes out by its own record.
"""

import copy
import json
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import engine, load, manifests
from policies.model import Facts
from tests import builders
from tests.e2e.controlplane import build
from tests.e2e.controlplane.client import Manifest
from tests.e2e.test_pipelines import KUSTOMIZATION, PLUGIN, RENDER, run, tool

__all__ = ["tool"]  # the fixture

ASKED = (
    {"accelerator": "a100:2", "shm": "2Gi"},
    {"mounts": "scratch://10Gi:/mnt/ml, hf://org/model:/mnt/model", "experiment": "e"},
    {"accelerator": "gpu", "mounts": "pvc://data:/mnt/data", "queue": "team-a"},
    {"shm": "1Gi", "inject": "true"},
    {"accelerator": "l4:1", "experiment": "run-7", "mounts": "s3://bucket/key:/mnt/s3"},
)
EMPTY: tuple[Manifest, ...] = (
    {},
    {"volumes": [], "tolerations": []},
    {"nodeSelector": {}, "imagePullSecrets": []},
    {"securityContext": {}, "affinity": {}},
)
POLICY = """\
apiVersion: kubectl-ml.io/v1alpha1
kind: InjectionPolicy
metadata: {{name: team}}
spec:
  inject:
    env: [{{name: TEAM, value: {team}}}]
    tolerations: [{{key: team, operator: Equal, value: {team}}}]
    imagePullSecrets: [{{name: {team}}}]
    labels: {{team: {team}}}
"""


def _manifests() -> list[Manifest]:
    made = []
    for number, (kind, asked) in enumerate(product((*builders.KINDS, "Pod"), ASKED)):
        containers = [builders.container(**({"env": [], "resources": {}} if number % 2 else {}))]
        spec = {**copy.deepcopy(EMPTY[number % len(EMPTY)]), "containers": containers}
        if kind == "Pod":
            made.append(builders.pod(f"n{number}", spec=spec, **asked))
        else:
            pod = builders.pod(spec=spec)
            made.append(builders.workload(kind, pod, name=f"n{number}", **asked))
    for one in made[::10]:
        one["metadata"]["annotations"]["helm.sh/hook"] = "pre-install"
    return made


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "team.yaml").write_text(POLICY.format(team="nlp"))
    return folder


@pytest.fixture(scope="module")
def written(policies: Path) -> list[Manifest]:
    """Give the manifests that aren't refused: some kinds hold no pvc, or no queue."""
    found = [one for one in _manifests() if not decided(one, policies).violations]
    assert len(found) >= 60
    return found


def decided(one: Manifest, policies: Path) -> Any:
    return engine.render(builders.request(one), load.read([policies]), Facts())


def ml(*args: str | Path, stdin: str, home: Path) -> subprocess.CompletedProcess[str]:
    done = run("kubectl-ml", *args, home=home, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done


def by_name(text: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in manifests.documents(text) if one}


def test_all_ways_give_what_the_engine_gives(
    tool: Callable[[build.Module], str], written: list[Manifest], policies: Path, tmp_path: Path
) -> None:
    expected = {one["metadata"]["name"]: decided(one, policies).object for one in written}
    stream = yaml.safe_dump_all(written)
    config = {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "Render",
        "spec": {"paths": [str(policies)]},
    }
    listed = json.dumps({"kind": "ResourceList", "functionConfig": config, "items": written})

    rendered = ml("render", "-f", "-", "--policies", policies, stdin=stream, home=tmp_path)
    function = ml("fn", stdin=listed, home=tmp_path)

    assert by_name(rendered.stdout) == expected
    [answer] = manifests.documents(function.stdout)
    assert {one["metadata"]["name"]: one for one in answer["items"]} == expected
    assert by_name(kustomized(tool(build.KUSTOMIZE), stream, policies, tmp_path)) == expected
    assert by_name(helmed(tool(build.HELM_4), written, policies, tmp_path)) == expected


def kustomized(program: str, stream: str, policies: Path, home: Path) -> str:
    folder = home / "overlay"
    folder.mkdir()
    function = folder / "kubectl-ml-fn"
    function.write_text("#!/bin/sh\nexec kubectl-ml fn\n")
    function.chmod(0o755)
    (folder / "job.yaml").write_text(stream)
    (folder / "render.yaml").write_text(RENDER.replace("[policies]", f"[{policies}]"))
    overlay = KUSTOMIZATION.replace("namespace: team\n", "")
    (folder / "kustomization.yaml").write_text(overlay)
    flags = ("--enable-alpha-plugins", "--enable-exec")
    done = run(program, "build", *flags, folder.name, home=home, cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def helmed(program: str, written: list[Manifest], policies: Path, home: Path) -> str:
    folder = home / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
    for one in written:
        text = yaml.safe_dump(one)
        (folder / "templates" / f"{one['metadata']['name']}.yaml").write_text(text)
    run(program, "plugin", "install", PLUGIN, home=home)
    flags = ("--post-renderer", "kubectl-ml", f"--post-renderer-args=--policies={policies}")
    done = run(program, "template", "demo", folder, *flags, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("stage", ["admission", "template"])
def test_strip_gives_back_what_was_written(
    stage: str, written: list[Manifest], policies: Path, tmp_path: Path
) -> None:
    flags = ("-f", "-", "--policies", policies)
    stream = yaml.safe_dump_all(written)

    injected = ml("render", *flags, "--stage", stage, stdin=stream, home=tmp_path)
    stripped = ml("strip", *flags, stdin=injected.stdout, home=tmp_path)

    assert stripped.stderr == ""
    assert manifests.documents(stripped.stdout) == written


def test_what_older_policies_injected_comes_out_by_its_record(
    written: list[Manifest], policies: Path, tmp_path: Path
) -> None:
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "team.yaml").write_text(POLICY.format(team="speech"))
    stream = yaml.safe_dump_all(written)

    injected = ml("render", "-f", "-", "--policies", policies, stdin=stream, home=tmp_path)
    today = ("-f", "-", "--policies", tmp_path / "today")
    explained = ml("explain", *today, stdin=injected.stdout, home=tmp_path)
    stripped = ml("strip", *today, stdin=injected.stdout, home=tmp_path)

    assert "changed since: team: was " in explained.stdout
    assert "team" in stripped.stderr  # that it was taken out unseen
    assert manifests.documents(stripped.stdout) == written
