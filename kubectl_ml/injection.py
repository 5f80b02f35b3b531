"""
Who carries intents out, the cluster's webhook or the plugin, and how the plugin does it.

    probe, is_carried    a workload with an intent more, and whether the answer's templates have it
    left_undone          the intents that nobody saw to, though the webhook was to
    facts_of             what the webhook would know of the cluster, from the API server's discovery
    Injector             the engine's template stage
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from kubectl_ml import objects
from kubectl_ml.answers import hint_of
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import ClusterError, Refused
from kubectl_ml.facts import kube_version
from policies.intents import PREFIX
from policies.model import Facts, Manifest, PolicySet
from policies.workloads import generations, trainings

_PROBE = f"{PREFIX}inject"  # an intent that every workload's template is carried
# Which API group tells that a system is there.
_SYSTEMS = {
    "batch.volcano.sh": "volcano",
    "dapr.io": "dapr",
    "kueue.x-k8s.io": "kueue",
    "networking.istio.io": "istio",
    "resource.k8s.io": "dra",
    "scheduling.run.ai": "kai",
    "scheduling.volcano.sh": "volcano",
    "serving.knative.dev": "knative",
    "serving.kserve.io": "kserve",
}


def probe(workload: Manifest) -> Manifest:
    """Give the workload with an intent that a webhook carries to every template."""
    found = copy.deepcopy(workload)
    found["metadata"].setdefault("annotations", {})[_PROBE] = "true"
    return found


def is_carried(answer: Manifest) -> bool:
    """Tell whether a webhook has carried the probe's intent."""
    return any(_PROBE in found for found in _template_annotations(answer))


def left_undone(sent: Manifest, answer: Manifest) -> tuple[str, ...]:
    """Name the intents of a workload to which no webhook saw; none where one did."""
    wanted = _ours(sent["metadata"].get("annotations"))
    templates = list(_template_annotations(answer))
    marks = _ours(answer["metadata"].get("annotations")) - wanted
    if marks or not templates or any(map(_ours, templates)):
        return ()
    return tuple(sorted(key.removeprefix(PREFIX) for key in wanted))


def _ours(annotations: Mapping[str, str] | None) -> set[str]:
    return {key for key in annotations or {} if key.startswith(PREFIX)}


def _template_annotations(workload: Manifest) -> Iterable[Mapping[str, str]]:
    """Give the annotations of every pod template in an object, wherever they are."""
    from policies.patch import lookup
    from policies.workloads import catalogue, locate

    group = workload["apiVersion"].rpartition("/")[0]
    kind = catalogue.builtin().find(group, workload["kind"])
    for template in locate.templates(workload, kind) if kind else ():
        if template.metadata:
            metadata = lookup(workload, template.metadata)
            yield (metadata or {}).get("annotations") or {}


def facts_of(cluster: Cluster) -> Facts:
    """Ask the API server for its version and for what is installed; everyone may."""
    groups = cluster.groups()
    return Facts(
        kube_version=kube_version(cluster.version()) or Facts().kube_version,
        installed=frozenset(_SYSTEMS[group] for group in groups if group in _SYSTEMS),
        fields=_fields(cluster, groups),
        launchers=_launchers(cluster) if trainings.GROUP in groups else frozenset(),
    )


def _launchers(cluster: Cluster) -> frozenset[tuple[str, str, str]]:
    """Read which runtimes of Kubeflow's Trainer run their launcher as a node, where one may."""
    found: list[Manifest] = []
    for kind, namespace in zip(trainings.RUNTIMES, (None, cluster.namespace), strict=True):
        try:
            found += cluster.find_all(f"{trainings.GROUP}/v1alpha1", kind, namespace=namespace)
        except ClusterError:  # as if there were none
            continue
    return frozenset(filter(None, map(trainings.launcher_of, found)))


def _fields(cluster: Cluster, groups: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Read which field a kind has that has another one in each generation of its CRD."""
    if not groups & generations.GROUPS:
        return frozenset()
    try:
        places = generations.documents(cluster.openapi())
        found = {
            name: generations.field_of(cluster.openapi(url), name) for name, url in places.items()
        }
    except ClusterError:  # as if nothing was known
        return frozenset()
    return frozenset(item for item in found.items() if item[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Injector:
    """Does what the webhook would do at the templates."""

    policies: PolicySet
    facts: Facts
    namespace: str
    warn: Callable[[str], None]

    def injected(self, found: Manifest) -> Manifest:
        """Fold into the object what its pods will be."""
        from policies import engine

        request = objects.request(found, namespace=self.namespace, user=self.facts.user)
        decision = engine.render(request, self.policies, self.facts)
        for warning in decision.warnings:
            self.warn(warning)
        if decision.violations:
            raise Refused(
                tuple(f"{each.policy}: {each.message}" for each in decision.violations),
                hint=hint_of([each.code for each in decision.violations]),
            )
        done: Manifest = decision.object
        return done

    def needed(self, found: Manifest) -> tuple[Manifest, ...]:
        """Make what pods that a webhook injects need besides, as far as our policies tell."""
        quiet = replace(self, warn=lambda _: None)  # the webhook says it
        try:
            return self.beside(quiet.injected(found))
        except Refused:  # the cluster's own policies may know better
            return ()

    def beside(self, injected: Manifest) -> tuple[Manifest, ...]:
        """Make what the pods of an injected object need besides, in its namespace."""
        from policies import engine

        request = objects.request(injected, namespace=self.namespace, user=self.facts.user)
        found = engine.beside(request, self.policies)
        namespace = injected["metadata"].get("namespace")
        return tuple(
            each | {"metadata": each["metadata"] | ({"namespace": namespace} if namespace else {})}
            for each in found
        )
