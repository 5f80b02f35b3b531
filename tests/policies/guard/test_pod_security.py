"""`checks.podSecurity` gives the verdicts of k8s.io/pod-security-admission."""

import subprocess
from pathlib import Path

import pytest
import yaml

from policies.guard import pod_security

MODULE = "k8s.io/pod-security-admission@v0.36.3"


def fixtures() -> Path:
    """Find upstream's pods in Go's module cache."""
    try:
        found = subprocess.run(
            ["go", "env", "GOMODCACHE"],  # noqa: S607 -- whichever Go is there
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("Go isn't there, whose module cache holds upstream's pods")
    directory = Path(found.stdout.strip()) / MODULE / "test" / "testdata"
    if not directory.is_dir():
        pytest.skip(f"upstream's pods aren't there; run: go mod download {MODULE}")
    return directory


def test_every_pod_that_upstream_publishes() -> None:
    """Every fixture, at its level and version, passes or fails as upstream says."""
    directory, wrong, count = fixtures(), [], 0
    for file in sorted(directory.glob("*/*/*/*.yaml")):
        level, version, verdict = file.relative_to(directory).parts[:3]
        pod = yaml.load(file.read_bytes(), yaml.CSafeLoader)
        found = pod_security.violations(level, version, pod.get("metadata"), pod["spec"])
        count += 1
        if bool(found) != (verdict == "fail"):
            wrong.append((str(file.relative_to(directory)), found))
    assert (wrong, count > 4000) == ([], True)


def test_newer_versions_judge_as_the_newest_that_upstream_has_pods_for() -> None:
    """No rule has come since v1.35, so its pods get the same verdicts from then on."""
    wrong, count = [], 0
    for file in sorted(fixtures().glob("*/v1.35/*/*.yaml")):
        pod = yaml.load(file.read_bytes(), yaml.CSafeLoader)
        for version in ("v1.36", "v1.37", "latest"):
            found = pod_security.violations(
                file.parts[-4], version, pod.get("metadata"), pod["spec"]
            )
            count += 1
            if bool(found) != (file.parts[-2] == "fail"):
                wrong.append((str(file), version, found))
    assert (wrong, count > 400) == ([], True)


POD = {"containers": [{"name": "main", "image": "x"}]}


def test_sentences_of_a_plain_pod() -> None:
    """A pod that sets nothing is told all that restricted asks for, and has nothing on baseline."""
    assert pod_security.violations("baseline", "latest", {}, POD) == []
    assert pod_security.violations("restricted", "latest", {}, POD) == [
        'allowPrivilegeEscalation: container "main" must set it to false',
        'capabilities: container "main" must drop "ALL"',
        'runAsNonRoot: the pod or container "main" must set it to true',
        'seccompProfile: the pod or container "main" must say "RuntimeDefault" or "Localhost"',
    ]


@pytest.mark.parametrize("version", ["", "1.30", "v2.0", "v1.x", "v1.30\n", "newest"])
def test_versions_that_are_none(version: str) -> None:
    """What is no version is told so."""
    with pytest.raises(ValueError, match="is no version"):
        pod_security.minor(version)


@pytest.mark.parametrize(
    "spec", [None, [], {}, {"containers": 3}, {"containers": [1]}, {"volumes": {"a": 1}}]
)
def test_misshapen_pods_are_no_crash(spec: object) -> None:
    """What the API server would refuse anyway is no crash here."""
    assert isinstance(pod_security.violations("restricted", "latest", [], spec), list)
