"""
A pod template as its operator merges it, where other members of the object have a say.

    Workflow: a template over `templateDefaults`, under `podSpecPatch`
    TaskRun: each step over its Task's `stepTemplate`, under `stepSpecs` and `computeResources`

Only what tells how much a pod asks for; nothing here is written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import manifests
from policies.patch import Path, lookup
from policies.workloads.locate import Template

ARGO, TEKTON = "argoproj.io", "tekton.dev"
_LISTS = ("containers", "initContainers")
_OVERRIDES = (
    ("steps", "stepSpecs", "computeResources"),
    ("sidecars", "sidecarSpecs", "computeResources"),
    ("steps", "stepOverrides", "resources"),
    ("sidecars", "sidecarOverrides", "resources"),
)


def pod_spec(obj: Any, template: Template) -> dict[str, Any]:
    """Give a template's pod spec, merged with what its operator merges it with."""
    found = lookup(obj, template.pod_spec)
    spec: dict[str, Any] = found if isinstance(found, dict) else {}
    if template.kind.group == TEKTON:
        return _of_tekton(obj, template, spec)
    if template.definition.inline and "templates" in template.pod_spec:
        return _of_argo(obj, template, spec)
    return spec


# --- Argo --------------------------------------------------------------------------------------


def _of_argo(obj: Any, template: Template, spec: dict[str, Any]) -> dict[str, Any]:
    workflow = lookup(obj, template.pod_spec[: template.pod_spec.index("templates")])
    defaults = lookup(workflow, ("templateDefaults",))
    if isinstance(defaults, dict):
        spec = _with_defaults(spec, defaults)
    for text in (lookup(workflow, ("podSpecPatch",)), spec.get("podSpecPatch")):
        if isinstance(text, str):
            spec = _patched(spec, _read(text), template)
    return spec


def _with_defaults(spec: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what every template gets; of the members that run something only the same one."""
    runs = ("container", "script", "containerSet", "resource", "data", "steps", "dag", "suspend")
    kept = {key: one for key, one in defaults.items() if key not in runs or key in spec}
    found: dict[str, Any] = _over(kept, spec)
    return found


def _read(text: str) -> dict[str, Any]:
    try:
        parsed = [one for one in manifests.documents(text) if isinstance(one, dict)]
    except (ValueError, manifests.InvalidYAML):
        return {}  # it was said to be opaque
    return parsed[0] if parsed else {}


def _patched(spec: dict[str, Any], patch: dict[str, Any], template: Template) -> dict[str, Any]:
    """Apply a patch of the pod: it names `main` what the template runs, and others by name."""
    containers = _named(patch.get("containers"))
    spec = {**spec, "initContainers": _by_name(spec.get("initContainers"), patch, "initContainers")}
    for inline in template.definition.inline:
        if isinstance(spec.get(inline), dict) and template.definition.primary in containers:
            spec[inline] = _over(spec[inline], containers.pop(template.definition.primary))
    for at in template.definition.lists:
        spec = _replaced(spec, at, containers)
    spec["containers"] = [*_list(spec.get("containers")), *containers.values()]
    for member in ("resources", "overhead"):
        if isinstance(patch.get(member), dict):
            spec[member] = patch[member]
    return spec


def _replaced(spec: dict[str, Any], at: Path, over: dict[str, Any]) -> dict[str, Any]:
    """Merge what is named in a list at `at`, and take it out of `over`."""
    found = lookup(spec, at)
    if not isinstance(found, list):
        return spec
    names = [one.get("name") if isinstance(one, dict) else None for one in found]
    merged: Any = [
        _over(one, over.pop(name)) if isinstance(name, str) and name in over else one
        for one, name in zip(found, names, strict=True)
    ]
    for step in reversed(at[1:]):
        merged = {**(lookup(spec, at[: at.index(step)]) or {}), step: merged}
    return {**spec, str(at[0]): merged}


def _by_name(found: Any, patch: dict[str, Any], member: str) -> list[Any]:
    over = _named(patch.get(member))
    merged = [_over(one, over.pop(str(one.get("name")), {})) for one in _list(found)]
    return [*merged, *over.values()]


# --- Tekton ------------------------------------------------------------------------------------


def _of_tekton(obj: Any, template: Template, spec: dict[str, Any]) -> dict[str, Any]:
    base = spec.get("stepTemplate")
    steps = _list(spec.get("steps"))
    if isinstance(base, dict):
        own = {key: base[key] for key in ("resources", "computeResources") if key in base}
        steps = [_over(own, one) for one in steps]
    spec = {**spec, "steps": steps}
    run = _run(obj, template)
    for member, overrides, resources in _OVERRIDES:
        spec = {**spec, member: _overridden(spec.get(member), run.get(overrides), resources)}
    level = run.get("computeResources")
    if isinstance(level, dict) and spec["steps"]:
        spec["steps"] = _of_the_task(spec["steps"], level)
    return spec


def _run(obj: Any, template: Template) -> dict[str, Any]:
    """Find what is said of a run beside its Task: a TaskRun's spec, or one of taskRunSpecs."""
    spec = lookup(obj, (*template.base, "spec"))
    spec = spec if isinstance(spec, dict) else {}
    if not template.element:
        return spec
    name = lookup(obj, (*template.element, "name"))
    specs = _list(spec.get("taskRunSpecs"))
    return next((one for one in specs if one.get("pipelineTaskName") == name), {})


def _overridden(found: Any, overrides: Any, resources: str) -> list[Any]:
    over = {name: {resources: one.get(resources)} for name, one in _named(overrides).items()}
    return [_over(one, over.get(str(one.get("name")), {})) for one in _list(found)]


def _of_the_task(steps: list[Any], level: Mapping[str, Any]) -> list[Any]:
    """Share out what the whole task asks for: `ApplyTaskLevelComputeResources` of Tekton."""
    asked = level.get("requests") or level.get("limits")
    bare = [{key: one[key] for key in one if key != "computeResources"} for one in steps]
    bare[0]["computeResources"] = {"requests": asked}  # all steps together, however it is shared
    return bare


# --- merging -----------------------------------------------------------------------------------


def _over(below: Any, above: Any) -> Any:
    """Merge maps; lists of what has names by these; of anything else the upper one stays."""
    if above is None:
        return below
    if isinstance(below, dict) and isinstance(above, dict):
        merged = {key: _over(one, above.get(key)) for key, one in below.items()}
        return {**merged, **{key: one for key, one in above.items() if key not in below}}
    if isinstance(below, list) and isinstance(above, list) and _named(above):
        over = _named(above)
        merged_list = [_over(one, over.pop(str(one.get("name")), None)) for one in _list(below)]
        return [*merged_list, *over.values()]
    return above


def _named(found: Any) -> dict[str, Any]:
    return {one["name"]: one for one in _list(found) if isinstance(one.get("name"), str)}


def _list(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
