"""
Objects that have a part of their pods in another object: which, and how they read with it.

    referring.wanted(run, kind, "ml")          -> {("Pipeline.tekton.dev", "ml", "build")}
    referring.followed(run, kind, "ml", find)  -> the PipelineRun, with its Pipeline's spec in it

What isn't found stays a reference, of which the notes of `demand` say that it isn't counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from policies import manifests
from policies.patch import Draft, Path, lookup
from policies.workloads import steps
from policies.workloads.catalogue import Kind

Reference: TypeAlias = tuple[str, str, str]  # KIND.GROUP, namespace or "", name
Find: TypeAlias = Callable[[Reference], Any]

_ARGO = frozenset({"workflow", "cronworkflow"})
_PIPELINE, _TASK = "Pipeline.tekton.dev", "Task.tekton.dev"
_WORKFLOW, _WORKFLOWS = "WorkflowTemplate.argoproj.io", "ClusterWorkflowTemplate.argoproj.io"
_RUN, _TASK_RUN = "PipelineRun.tekton.dev", "TaskRun.tekton.dev"
_ROLLOUT, _EXPERIMENT = "Rollout.argoproj.io", "Experiment.kubeflow.org"
CONFIG_MAP = "ConfigMap"
_TRIAL = "${trialParameters."
# what others refer to, besides what has a scale
REFERRED = frozenset({_PIPELINE, _TASK, _WORKFLOW, _WORKFLOWS, "PodTemplate"})


def held(obj: Any, namespace: str) -> Reference | None:
    """Name an object that makes no pods where others may have them from it: a trial's ConfigMap."""
    if (lookup(obj, ("apiVersion",)), lookup(obj, ("kind",))) != ("v1", CONFIG_MAP):
        return None
    data = lookup(obj, ("data",))
    if not isinstance(data, dict) or not any(_TRIAL in str(one) for one in data.values()):
        return None
    within = lookup(obj, ("metadata", "namespace")) or namespace
    return CONFIG_MAP, str(within), str(lookup(obj, ("metadata", "name")))


def _read(text: str) -> Any:
    """Read an object in a string; None where there is none."""
    try:
        found = list(manifests.documents(text))
    except manifests.InvalidYAML:
        return None
    return found[0] if len(found) == 1 and isinstance(found[0], dict) else None


def wanted(obj: Any, kind: Kind, namespace: str) -> frozenset[Reference]:
    """Name the objects that one refers to, and those that it may find in what it refers to."""
    asked: set[Reference] = set()

    def note(reference: Reference) -> None:
        asked.add(reference)

    followed(obj, kind, namespace, note)
    return frozenset(asked)


def followed(obj: Any, kind: Kind, namespace: str, find: Find) -> Any:
    """Give an object with what it refers to in its place, as far as `find` finds it."""
    following = _Following(Draft(obj), namespace, find)
    if kind.name == _ROLLOUT:
        following.rollout()
    elif kind.name in (_RUN, _PIPELINE):
        following.pipeline(("spec", "pipelineSpec") if kind.name == _RUN else ("spec",))
    elif kind.name == _TASK_RUN:
        following.task(("spec",))
    elif kind.name == _EXPERIMENT:
        following.trial()
    elif kind.counter in _ARGO:
        following.workflow(steps.workflow_spec(kind))
    elif kind.name in (_WORKFLOW, _WORKFLOWS):
        following.imports(("spec",))
    return following.draft.object


class _Following:
    """One object being put together."""

    def __init__(self, draft: Draft, namespace: str, find: Find) -> None:
        self.draft = draft
        self._namespace = namespace
        self._find = find

    def rollout(self) -> None:
        """Take over the template of the object that a Rollout refers to."""
        reference = self._map(("spec", "workloadRef"))
        group, slash, _ = str(reference.get("apiVersion") or "apps/v1").partition("/")
        kind = str(reference.get("kind") or "Deployment")
        found = self._found(f"{kind}.{group}" if slash else kind, reference)
        template = lookup(found, ("spec", "template")) or lookup(found, ("template",))
        if isinstance(template, dict):
            self.draft.set(("spec", "template"), template)
            self.draft.remove(("spec", "workloadRef"))

    def trial(self) -> None:
        """Take over the trial that an Experiment's ConfigMap holds as a string."""
        at = ("spec", "trialTemplate", "configMap")
        place = self._map(at)
        found = self._found(
            CONFIG_MAP, {"name": place.get("configMapName")}, place.get("configMapNamespace")
        )
        text = lookup(found, ("data", str(place.get("templatePath"))))
        trial = _read(text) if isinstance(text, str) else None
        if trial is not None:
            self.draft.set(("spec", "trialTemplate", "trialSpec"), trial)
            self.draft.remove(at)

    # Tekton

    def pipeline(self, at: Path) -> None:
        """Take over a run's Pipeline, and the Tasks that are named in it."""
        reference = self._map((*at[:-1], "pipelineRef"))
        found = lookup(self._found(_PIPELINE, reference), ("spec",))
        if isinstance(found, dict):
            self.draft.set(at, found)
            self.draft.remove((*at[:-1], "pipelineRef"))
        for member in ("tasks", "finally"):
            for index in range(len(self._list((*at, member)))):
                self.task((*at, member, index))

    def task(self, at: Path) -> None:
        """Take over a Task."""
        reference = self._map((*at, "taskRef"))
        if not str(reference.get("apiVersion") or "tekton.dev/").startswith("tekton.dev/"):
            return
        if reference.get("kind") not in (None, "Task"):
            return
        found = lookup(self._found(_TASK, reference), ("spec",))
        if isinstance(found, dict):
            self.draft.set((*at, "taskSpec"), found)
            self.draft.remove((*at, "taskRef"))

    # Argo

    def workflow(self, at: Path) -> None:
        """Take over the template of a whole workflow, below what the workflow says itself."""
        reference = self._map((*at, "workflowTemplateRef"))
        found = lookup(self._found(_template_kind(reference), reference), ("spec",))
        if isinstance(found, dict):
            own = {k: v for k, v in self._map(at).items() if k != "workflowTemplateRef"}
            templates = [*_maps(found.get("templates")), *_maps(own.get("templates"))]
            self.draft.set(at, {**found, **own, "templates": templates})
        self.imports(at)

    def imports(self, at: Path) -> None:
        """Take over each template that a step names in another object, and what that one needs."""
        done: set[tuple[Reference, str]] = set()
        while todo := [one for one in self._steps(at) if self._key(one[1]) not in done]:
            for path, reference in todo:
                done.add(self._key(reference))
                self._import(at, path, reference)

    def _steps(self, at: Path) -> list[tuple[Path, Mapping[str, Any]]]:
        found = steps.steps_of(self.draft.object, (*at, "templates"))
        return [
            (path, step["templateRef"])
            for path, step in found
            if isinstance(step.get("templateRef"), dict)
        ]

    def _import(self, at: Path, path: Path, reference: Mapping[str, Any]) -> None:
        name = str(reference.get("name"))
        found = _maps(
            lookup(self._found(_template_kind(reference), reference), ("spec", "templates"))
        )
        needed = dict(_needed(found, str(reference.get("template"))))
        if not needed:
            return
        there = {one.get("name") for one in _maps(self.draft.get((*at, "templates")))}
        for template in needed.values():
            own = _renamed(template, name, {one.get("name") for one in found})
            if own["name"] not in there:
                self.draft.append((*at, "templates"), own)
        for step, other in self._steps(at):
            if other == reference:
                self.draft.set((*step, "template"), f"{name}/{reference.get('template')}")
                self.draft.remove((*step, "templateRef"))

    def _key(self, reference: Mapping[str, Any]) -> tuple[Reference, str]:
        kind = _template_kind(reference)
        return (kind, "", str(reference.get("name"))), str(reference.get("template"))

    # Finding

    def _found(self, kind: str, reference: Mapping[str, Any], namespace: Any = "") -> Any:
        name = reference.get("name")
        if not isinstance(name, str) or not name:  # a resolver fetches it from elsewhere
            return None
        within = "" if kind == _WORKFLOWS else str(namespace or self._namespace)
        return self._find((kind, within, name))

    def _map(self, at: Path) -> Mapping[str, Any]:
        found = self.draft.get(at)
        return found if isinstance(found, dict) else {}

    def _list(self, at: Path) -> list[Any]:
        found = self.draft.get(at)
        return found if isinstance(found, list) else []


def _template_kind(reference: Mapping[str, Any]) -> str:
    return _WORKFLOWS if reference.get("clusterScope") is True else _WORKFLOW


def _needed(templates: list[dict[str, Any]], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find a template and those of its neighbours that it runs."""
    named = {one.get("name"): one for one in templates}
    todo, seen = [name], {name}
    while todo:
        one = named.get(todo.pop())
        if one is None:
            continue
        yield str(one["name"]), one
        for _, step in steps.steps_of({"templates": [one]}, ("templates",)):
            inner = step.get("template")
            if isinstance(inner, str) and inner not in seen:
                seen.add(inner)
                todo.append(inner)


def _renamed(template: dict[str, Any], prefix: str, names: set[Any]) -> dict[str, Any]:
    """Give a template, and what it runs, the names that they have among another's templates."""
    draft = Draft({"templates": [template]})
    draft.set(("templates", 0, "name"), f"{prefix}/{template['name']}")
    for path, step in steps.steps_of(draft.object, ("templates",)):
        if step.get("template") in names:
            draft.set((*path, "template"), f"{prefix}/{step['template']}")
    renamed: dict[str, Any] = draft.object["templates"][0]
    return renamed


def _maps(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
