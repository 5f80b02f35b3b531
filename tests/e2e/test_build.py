"""The programs are built once, and where that can't be, one sentence says what to do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.controlplane import build, errors

NAMES = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kubectl", "kwok", "stages"),
)
# Stands for Go: notes each call, gives what `go build` and `go list` would.
FAKE_GO = """#!/bin/sh
echo "$*" >> {calls}
case "$1" in
  list) echo {module} ;;
  build)
    while [ "$1" != -o ]; do shift; done
    sleep 0.2
    case "$PWD" in *kwok) names=kwok ;; *) names="server kube-apiserver kubectl" ;; esac
    for name in $names kube-controller-manager kube-scheduler; do : > "$2$name"; done ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Give an environment in which `go` is the script."""

    def environment(script: str = FAKE_GO) -> dict[str, str]:
        module = tmp_path / "module"
        for stage in build.STAGES:
            path = module / "kustomize" / "stage" / stage
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        go = tmp_path / "bin" / "go"
        go.parent.mkdir()
        go.write_text(script.format(calls=tmp_path / "calls", module=module))
        go.chmod(0o755)
        return {"PATH": f"{go.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    return environment


def test_without_go_one_sentence_says_what_to_install(tmp_path: Path):
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    with pytest.raises(errors.NotAvailableError) as caught:
        build.ensure(environ)

    assert str(caught.value) == (
        "the control plane lacks etcd, kube-apiserver, kube-controller-manager, kube-scheduler, "
        "kubectl, kwok, stages and Go isn't there to build them: install Go 1.26 or newer, "
        "or name a folder that has them in KUBEBUILDER_ASSETS"
    )


def test_a_folder_that_has_the_programs_is_used(tmp_path: Path):
    for name in NAMES:
        (tmp_path / name).touch()
    environ = {"PATH": "", "KUBEBUILDER_ASSETS": str(tmp_path), "XDG_CACHE_HOME": "/nonexistent"}

    programs = build.ensure(environ)

    assert programs.paths == {name: tmp_path / name for name in NAMES}


def test_only_what_the_folder_lacks_is_asked_for(tmp_path: Path):
    for name in NAMES[:5]:
        (tmp_path / name).touch()
    environ = {"PATH": "", "KUBEBUILDER_ASSETS": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    with pytest.raises(errors.NotAvailableError, match="lacks kwok, stages and Go isn't there"):
        build.ensure(environ)


def test_two_runs_at_once_build_once(fake_go: Callable[[], dict[str, str]], tmp_path: Path):
    environ = fake_go()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(build.ensure, [environ, environ])

    assert first == second
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["build", "build", "list"]
    assert [stage.name for stage in first.stages] == sorted(
        Path(stage).name for stage in build.STAGES
    )


def test_a_build_that_fails_says_why_and_leaves_nothing(
    fake_go: Callable[[str], dict[str, str]], tmp_path: Path
):
    environ = fake_go("#!/bin/sh\necho no space left >&2\nexit 1\n")

    with pytest.raises(errors.BuildError, match=r"go build failed in .*\nno space left"):
        build.ensure(environ)

    assert [path.name for path in (tmp_path / "cache/kubectl-ml").iterdir()] == [".kubernetes.lock"]
