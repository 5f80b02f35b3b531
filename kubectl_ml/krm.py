"""
A KRM function's input and output: a `ResourceList`, and the `Render` that configures us.

https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md

    apiVersion: kubectl-ml.io/v1alpha1
    kind: Render
    spec:
      policies: [{kind: Accelerator, …}, policies/]   # objects, or paths
      paths: [policies/]                              # from the directory the program runs in
      stage: template                                 # or admission
      kubeVersion: "1.36"
      facts: {namespaces: {ml: {labels: {team: nlp}}}}   # as a file for --facts, or its path

`kpt fn eval -- stage=admission` gives a ConfigMap instead, with `paths` divided by commas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_ml import facts, findings, objects
from kubectl_ml.errors import PluginError
from kubectl_ml.findings import Finding
from kubectl_ml.rendering import Stage
from kubectl_ml.suggest import did_you_mean
from policies.model import API_VERSION, Facts, Manifest

KEYS = ("policies", "paths", "stage", "kubeVersion", "facts")
LOCAL = "config.kubernetes.io/local-config"
_PATHS = ("config.kubernetes.io/path", "internal.config.kubernetes.io/path")
_INDEXES = ("config.kubernetes.io/index", "internal.config.kubernetes.io/index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the function is asked to do."""

    policies: tuple[Manifest, ...] = ()
    paths: tuple[str, ...] = ()
    stage: Stage = Stage.TEMPLATE
    facts: Facts = field(default_factory=Facts)


def wrong(field: str, message: str) -> PluginError:
    """Say what is wrong with the function's configuration."""
    return PluginError(
        ": ".join(filter(None, ["functionConfig", field, message])),
        hint=f"kind: Render has spec: {', '.join(KEYS)}; see kubectl ml fn --help",
    )


def config(found: Any) -> Config:
    """Read `functionConfig`; without one, the library and every default."""
    if found is None:
        return Config()
    if not isinstance(found, dict):
        raise wrong("", "is no mapping")
    return _read(_spec(found))


def _spec(found: Manifest) -> Mapping[str, Any]:
    kind, version = found.get("kind"), found.get("apiVersion")
    if (version, kind) == ("v1", "ConfigMap"):
        where, spec = "data", dict(_mapping(found.get("data") or {}, "data"))
        if isinstance(spec.get("paths"), str):
            spec["paths"] = [path.strip() for path in spec["paths"].split(",") if path.strip()]
    elif (version, kind) == (API_VERSION, "Render"):
        where, spec = "spec", dict(_mapping(found.get("spec") or {}, "spec"))
    else:
        raise wrong(
            "", f"{kind} of {version} is not known; write kind: Render of apiVersion: {API_VERSION}"
        )
    for key in spec:
        if key not in KEYS:
            raise wrong(where, f'unknown key "{key}"{did_you_mean(str(key), KEYS)}')
    return spec


def _read(spec: Mapping[str, Any]) -> Config:
    policies = _list(spec, "policies")
    paths = [*_list(spec, "paths"), *(each for each in policies if isinstance(each, str))]
    if not all(isinstance(each, str) for each in paths):
        raise wrong("spec.paths", "is no list of strings")
    return Config(
        policies=tuple(each for each in policies if not isinstance(each, str)),
        paths=tuple(paths),
        stage=_stage(spec.get("stage")),
        facts=_facts(spec),
    )


def _stage(found: Any) -> Stage:
    if found in (None, ""):
        return Stage.TEMPLATE
    if found not in ("template", "admission"):
        raise wrong("spec.stage", f'"{found}" is no stage; write template or admission')
    return Stage(found)


def _facts(spec: Mapping[str, Any]) -> Facts:
    given, version = spec.get("facts"), spec.get("kubeVersion")
    if isinstance(given, str):
        found = facts.read(given)
    else:
        found = facts.parsed(given or {}, "functionConfig: spec.facts")
    if version is None:
        return found
    number = facts.kube_version(version) if isinstance(version, str) else None
    if number is None:
        raise wrong("spec.kubeVersion", f'{version!r} is no version; write "1.36", in quotes')
    return replace(found, kube_version=number)


def _list(spec: Mapping[str, Any], key: str) -> list[Any]:
    found = spec.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise wrong(f"spec.{key}", "is no list")
    return found


def _mapping(found: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise wrong(field, "is no mapping")
    return found


def is_local(item: Manifest) -> bool:
    """Tell whether an item is configuration of the pipeline, never applied to a cluster."""
    return _annotation(item, (LOCAL,)) == "true"


def result(finding: Finding, item: Manifest) -> Manifest:
    """Write a finding as the specification's `Result`."""
    found: Manifest = {"message": finding.sentence, "severity": finding.severity}
    metadata = item.get("metadata") or {}
    reference = {"apiVersion": item["apiVersion"], "kind": item["kind"]}
    for key in ("name", "namespace"):
        if isinstance(metadata.get(key), str):
            reference[key] = metadata[key]
    found["resourceRef"] = reference
    if finding.pointer:
        found["field"] = {"path": findings.field_path(finding.pointer)}
        value = findings.value_at(item, finding.pointer)
        if value is not None:
            found["field"]["currentValue"] = value
    if path := _annotation(item, _PATHS):
        found["file"] = {"path": path}
        index = _annotation(item, _INDEXES)
        if index.isascii() and index.isdigit():
            found["file"]["index"] = int(index)
    return found


def title(item: Manifest) -> str:
    """Name an item in a sentence, with the file it came from."""
    path = _annotation(item, _PATHS)
    return ": ".join(filter(None, [path, objects.title(item)]))


def _annotation(item: Manifest, keys: tuple[str, ...]) -> str:
    metadata = item.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    found = annotations if isinstance(annotations, dict) else {}
    return next((found[key] for key in keys if isinstance(found.get(key), str)), "")
