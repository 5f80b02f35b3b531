"""
Placement: where a pod may run, and with what priority and identity, by policy.

Touches `nodeSelector`, `affinity`, `tolerations`, `topologySpreadConstraints`, `schedulerName`,
`priorityClassName`, `runtimeClassName`, `serviceAccountName`, `imagePullSecrets`, `securityContext`
and, for receiving containers, `resources`. Steered by InjectionPolicies alone.

    inject: {tolerations: [{key: team, operator: Exists}], priorityClassName: training}

A spread or a pod affinity term without a labelSelector is about the pods of the same workload: it
gets the label by which that workload's controller marks them, as soon as pods have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policies import windows
from policies.inject import remains, resources
from policies.inject.pod import Author, PodDraft, covers
from policies.model import Inject, Manifest
from policies.patch import ABSENT

_PAIR = ("topologyKey", "whenUnsatisfiable")
_OF_PODS = ("podAffinity", "podAntiAffinity")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# core/v1 SecurityContext members that a pod's own securityContext doesn't have
_OF_CONTAINERS = frozenset(
    {
        "allowPrivilegeEscalation",
        "capabilities",
        "privileged",
        "procMount",
        "readOnlyRootFilesystem",
    }
)
# By which controllers mark the pods of one workload; the outermost first.
_WORKLOAD_LABELS = (
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/name",
    "training.kubeflow.org/job-name",
    "ray.io/cluster",
    "volcano.sh/job-name",
    "batch.kubernetes.io/job-name",
    "kubectl-ml.io/name",
    "pod-template-hash",
)
_LATER = "its pods get it, with the label that tells those of one workload"
# What the API server or its plugins write where nothing was set: not what the user set.
_DEFAULTS = {
    "schedulerName": "default-scheduler",
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 30,
}


def inject(pod: PodDraft, author: Author, wanted: Inject) -> None:
    """Inject what one policy says of placement."""
    select_nodes(pod, author, wanted.node_selector)
    tolerate(pod, author, wanted.tolerations)
    if wanted.affinity:
        _affinity(pod, author, wanted.affinity)
    _lists(pod, author, wanted)
    _scalars(pod, author, wanted)
    if wanted.security_context:
        _security_context(pod, author, wanted.security_context)
    if wanted.resources and pod.allows("resources"):
        for container in pod.containers:
            resources.give(pod, author, container, wanted.resources)


def select_nodes(
    pod: PodDraft, author: Author, labels: Mapping[str, str | tuple[str, ...]]
) -> None:
    """Ask for nodes with these labels; several values mean any of them."""
    for key, value in labels.items():
        if isinstance(value, str):
            if pod.allows("nodeSelector"):
                pod.put(author, (*pod.spec, "nodeSelector", key), value)
        elif pod.allows("affinity"):
            _select_any(pod, author, key, value)


def _select_any(pod: PodDraft, author: Author, key: str, values: tuple[str, ...]) -> None:
    """Ask for one of several values; a node selector of the user's for that label stays."""
    chosen = (pod.get("nodeSelector") or {}).get(key)
    if chosen is None:
        _require(pod, author, {"key": key, "operator": "In", "values": list(values)})
    elif chosen not in values:
        pod.warn(
            f'{author.name}: /spec/nodeSelector/{key} is "{chosen}", not one of '
            f"{', '.join(values)}; kept as it was written"
        )


def tolerate(pod: PodDraft, author: Author, tolerations: Iterable[Manifest]) -> None:
    """Add tolerations that no present one covers."""
    path = (*pod.spec, "tolerations")
    for toleration in tolerations:
        if not pod.allows("tolerations"):
            return
        for index, present in enumerate(pod.draft.get(path) or ()):
            if _tolerates(present, toleration):
                pod.again(author, (*path, index))
                break
        else:
            pod.add_value(author, path, toleration)


def _lists(pod: PodDraft, author: Author, wanted: Inject) -> None:
    for constraint in wanted.topology_spread:
        completed = _of_the_workload(pod, constraint)
        if completed is None:
            pod.skip(author.name, (*pod.spec, "topologySpreadConstraints"), _LATER)
        elif pod.allows("topologySpreadConstraints"):
            _spread(pod, author, completed)
    for secret in wanted.image_pull_secrets:
        if pod.allows("imagePullSecrets"):
            pod.add(author, (*pod.spec, "imagePullSecrets"), secret)


def _spread(pod: PodDraft, author: Author, wanted: Manifest) -> None:
    """Add a constraint; the API server takes one for each topologyKey and whenUnsatisfiable."""
    path = (*pod.spec, "topologySpreadConstraints")
    for present in pod.draft.get(path) or ():
        pair = all(present.get(key) == wanted.get(key) for key in _PAIR)
        if pair and not covers(present, wanted):
            pod.warn(
                f"{author.name}: the pod has a topologySpreadConstraint for "
                f'"{wanted.get("topologyKey")}" ({wanted.get("whenUnsatisfiable")}) itself; '
                "kept as it was written"
            )
            return
    pod.add_value(author, path, wanted)


def _scalars(pod: PodDraft, author: Author, wanted: Inject) -> None:
    for name, value in (
        ("schedulerName", wanted.scheduler_name),
        ("runtimeClassName", wanted.runtime_class_name),
        ("serviceAccountName", wanted.service_account_name),
        ("terminationGracePeriodSeconds", wanted.termination_grace_period_seconds),
    ):
        if value and pod.allows(name):
            pod.put(author, (*pod.spec, name), value, unset=_DEFAULTS.get(name))
    if wanted.priority_class_name and pod.allows("priorityClassName"):
        _priority(pod, author, wanted.priority_class_name)


def _priority(pod: PodDraft, author: Author, name: str) -> None:
    """
    Set the priority class, and take out the number that the Priority plugin resolved before us.

    It runs again after us and refuses a number that isn't the class's.
    """
    unset = pod.get("priorityClassName") is None
    if pod.put(author, (*pod.spec, "priorityClassName"), name) and unset:
        for member in remains.FOLLOWING["priorityClassName"]:
            path, value = (*pod.spec, member), pod.get(member)
            pod.draft.touched.append((path, ABSENT if value is None else value))
            if value is not None:
                pod.draft.remove(path)


def _security_context(pod: PodDraft, author: Author, wanted: Manifest) -> None:
    declared = windows.is_declared(pod.get())
    for name, value in wanted.items():
        if declared and name in windows.LINUX_ONLY:
            path = (*pod.spec, "securityContext", name)
            pod.skip(author.name, path, "a Windows pod can't have it")
            continue
        if name not in _OF_CONTAINERS:
            if pod.allows("securityContext"):
                pod.put(author, (*pod.spec, "securityContext", name), value)
            continue
        for container in pod.containers:
            pod.put(author, (*container.path, "securityContext", name), value)


def _affinity(pod: PodDraft, author: Author, wanted: Manifest) -> None:
    if not pod.allows("affinity"):
        return
    base = (*pod.spec, "affinity")
    for kind, terms in wanted.items():
        for strength, value in (terms or {}).items():
            path = (*base, kind, strength)
            if kind == "nodeAffinity" and strength == _REQUIRED:
                _require_terms(pod, author, value)
            else:
                for term in value or ():
                    completed = _own_pods(pod, term) if kind in _OF_PODS else term
                    if completed:
                        pod.add_value(author, path, completed)
                    else:
                        pod.skip(author.name, path, _LATER)


def _own_pods(pod: PodDraft, term: Manifest) -> Manifest | None:
    """Complete a pod affinity term, which lies inside a weighted one where it is preferred."""
    inner = term.get("podAffinityTerm")
    if inner is None:
        return _of_the_workload(pod, term)
    completed = _of_the_workload(pod, inner)
    return completed and {**term, "podAffinityTerm": completed}


def _of_the_workload(pod: PodDraft, term: Manifest) -> Manifest | None:
    """
    Say which pods a term without a labelSelector is about: those of the same workload.

    None in a template whose pods get that label later: they get the term then, too.
    """
    if "labelSelector" in term:
        return term
    labels = (pod.draft.get((*pod.metadata, "labels")) if pod.metadata else None) or {}
    for key in _WORKLOAD_LABELS if labels else ():
        if labels.get(key):
            return {**term, "labelSelector": {"matchLabels": {key: labels[key]}}}
    return term if pod.spec == ("spec",) else None


def _require_terms(pod: PodDraft, author: Author, wanted: Manifest) -> None:
    """Require node selector terms: terms are alternatives, so one alone can be added to each."""
    terms = wanted.get("nodeSelectorTerms") or []
    if len(terms) == 1:
        for kind in ("matchExpressions", "matchFields"):
            for expression in terms[0].get(kind) or ():
                _require(pod, author, expression, kind=kind)
    else:
        path = (*pod.spec, "affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
        pod.put(author, path, terms)


def _require(
    pod: PodDraft, author: Author, expression: Manifest, *, kind: str = "matchExpressions"
) -> None:
    path = (*pod.spec, "affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    terms = pod.draft.get(path)
    if not isinstance(terms, list) or not terms:
        pod.add_value(author, path, {kind: [expression]})
        return
    for index in range(len(terms)):
        pod.add_value(author, (*path, index, kind), expression)


def _tolerates(present: Manifest, wanted: Manifest) -> bool:
    """Tell whether one toleration tolerates all that another does, for as long."""
    effect = present.get("effect") or ""
    if effect and effect != wanted.get("effect"):
        return False
    if "tolerationSeconds" in present and present.get("tolerationSeconds") != wanted.get(
        "tolerationSeconds"
    ):
        return False
    exists = present.get("operator") == "Exists"
    if not present.get("key"):
        return exists
    if present.get("key") != wanted.get("key"):
        return False
    return exists or (
        wanted.get("operator", "Equal") == "Equal"
        and (present.get("value") or "") == (wanted.get("value") or "")
    )
