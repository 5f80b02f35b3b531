"""
Build the control plane's programs, once for each version of the lock files.

Two Go modules pin them: `kubernetes/` (with etcd) and `kwok/`, whose dependencies differ.
Each is built into `${XDG_CACHE_HOME:-~/.cache}/kubectl-ml/MODULE-KEY/`, where KEY is the hash of
its lock files and of how it is built.
A program that the folder `KUBEBUILDER_ASSETS` has is taken from there.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.controlplane import errors

HERE = Path(__file__).parent
KUBERNETES_VERSION = "1.36.3"
GO_VERSION = "1.26"  # what the modules ask for
_SIDE = "stages"  # a folder of kwok's stage files beside the programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Go module of tools and what it gives."""

    name: str
    gives: tuple[str, ...]
    ldflags: str = "-s -w"
    beside: Path = HERE
    package: str = "tool"  # what is built: the module's tools, or a program of its own
    sources: tuple[str, ...] = ()  # of that program

    @property
    def source(self) -> Path:
        """The folder with its go.mod and go.sum."""
        return self.beside / self.name

    def key(self) -> str:
        """Name the build: another lock file, flag or source makes another key."""
        digest = hashlib.sha256(f"1 {self.ldflags} {sys.platform} {platform.machine()}".encode())
        for file in ("go.mod", "go.sum", *self.sources):
            digest.update((self.source / file).read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


def _version_flags() -> str:
    """Say the version to the linker; without it the server calls itself v0.0.0."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    values = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        f"-X {package}.{name}={value}" for package in packages for name, value in values.items()
    )


MODULES = (
    Module(
        name="kubernetes",
        gives=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
        ldflags=f"-s -w {_version_flags()}",
    ),
    Module(name="kwok", gives=("kwok", _SIDE)),
)
# What the pipelines' tests need, each built when a test asks for it.
KUSTOMIZE = Module(name="kustomize", gives=("kustomize",))
HELM_3 = Module(name="helm3", gives=("helm",))
HELM_4 = Module(name="helm4", gives=("helm",))
ARGO_CD = Module(name="argocd", gives=("argocd",), package=".", sources=("main.go",))
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat/node-heartbeat.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where each program is."""

    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])

    @property
    def stages(self) -> tuple[Path, ...]:
        """kwok's stage files: how fake nodes and pods live."""
        return tuple(sorted(self.paths[_SIDE].glob("*.yaml")))


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Tell where builds and the long-running cluster are kept."""
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kubectl-ml"


def find(
    environ: Mapping[str, str] = os.environ, modules: Sequence[Module] = MODULES
) -> Programs | None:
    """Find the programs without building anything."""
    paths = {}
    for module in modules:
        for name in module.gives:
            path = _find_one(name, module, environ)
            if path is None:
                return None
            paths[name] = path
    return Programs(paths=paths)


def _find_one(name: str, module: Module, environ: Mapping[str, str]) -> Path | None:
    folders = [cache_directory(environ) / module.key()]
    if assets := environ.get("KUBEBUILDER_ASSETS"):
        folders.insert(0, Path(assets))
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def ensure(
    environ: Mapping[str, str] = os.environ, modules: Sequence[Module] = MODULES
) -> Programs:
    """Find the programs, or build those that are missing."""
    if programs := find(environ, modules):
        return programs
    cache = cache_directory(environ)
    missing = [
        (module, [name for name in module.gives if not _find_one(name, module, environ)])
        for module in modules
    ]
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise errors.NotAvailableError(
            _how_to_get([name for _, names in missing for name in names])
        )
    cache.mkdir(parents=True, exist_ok=True)
    for module, names in missing:
        if names:
            with _only_one(cache / f".{module.name}.lock"):
                _build(module, go=_Go(go, module.source, environ), target=cache / module.key())
    programs = find(environ, modules)
    if programs is None:
        raise errors.BuildError(f"the build left nothing usable in {cache}: remove it, try again")
    return programs


def _how_to_get(names: list[str]) -> str:
    return (
        f"the control plane lacks {', '.join(names)} and Go isn't there to build them: install "
        f"Go {GO_VERSION} or newer, or name a folder that has them in KUBEBUILDER_ASSETS"
    )


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Let a second run wait for the first instead of building too."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another run is building the control plane; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(module: Module, *, go: "_Go", target: Path) -> None:
    """Build into a folder beside the target and rename it: a build is whole or not there."""
    if target.exists():
        return
    built = ", ".join(name for name in module.gives if name != _SIDE)
    _say(f"building {built} into {target}: minutes, the first time")
    began = time.monotonic()
    prefix = f".building-{module.name}-"
    for left_over in target.parent.glob(f"{prefix}*"):  # by a build that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        go("build", "-trimpath", "-ldflags", module.ldflags, "-o", f"{whole}/", module.package)
        if "etcd" in module.gives:
            (whole / "server").rename(whole / "etcd")  # its package is go.etcd.io/etcd/server
        if _SIDE in module.gives:
            _copy_stages(go, whole / _SIDE)
        whole.rename(target)
    _say(f"built in {time.monotonic() - began:.0f} s")


def _copy_stages(go: "_Go", target: Path) -> None:
    folder = Path(go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip())
    target.mkdir()
    for stage in STAGES:
        shutil.copyfile(folder / "kustomize" / "stage" / stage, target / Path(stage).name)


def folder_of(module: Module, path: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Find where Go keeps the sources of what a module of tools is built from: its manifests."""
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise errors.NotAvailableError(f"Go isn't there to tell where {path} is")
    found = _Go(go, module.source, environ)
    found("mod", "download", path)
    return Path(found("list", "-m", "-f", "{{.Dir}}", path).strip())


# The compiler collects garbage less often: a third of its processor time, for some memory.
_GENEROUS = {"GOGC": "400"}
_ALONE = {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}


@dataclass(frozen=True, slots=True)
class _Go:
    """Go in one module: what is locked there and nothing from the surroundings."""

    path: str
    source: Path
    environ: Mapping[str, str]

    def __call__(self, verb: str, *args: str) -> str:
        flags = {"build": ("-mod=readonly", "-buildvcs=false"), "mod": ()}.get(
            verb, ("-mod=readonly",)
        )
        done = subprocess.run(  # noqa: S603 -- Go itself, with arguments from this file
            (self.path, verb, *flags, *args),
            cwd=self.source,
            env={**_GENEROUS, **self.environ, **_ALONE},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise errors.BuildError(f"go {verb} failed in {self.source}:\n{done.stderr}")
        return done.stdout


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
