"""
Bringing in workloads from before the webhook acted: what their creation would carry today.

Their next update adds nothing to a template, so that nothing is rolled by surprise. So the plugin
writes into the templates itself what the webhook would have carried when they were created, with
the record of it: the webhook then finds it carried and keeps it up as if it always had been.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kubectl_ml import objects, quotas, rollouts
from kubectl_ml.cluster import Cluster
from kubectl_ml.errors import ClusterError, NotAllowed, NotFound, PluginError, Unreachable
from kubectl_ml.fitting import Fitting, Verdict
from policies import engine
from policies.intents import INJECTED, PREFIX, written
from policies.model import Decision, Facts, JSONPatch, Manifest, PolicySet, Request, User
from policies.patch import Draft, lookup
from policies.workloads import catalogue, demand, locate
from policies.workloads.catalogue import Kind

_SERVERS = (
    "creationTimestamp", "finalizers", "generation", "managedFields", "resourceVersion",
    "selfLink", "uid",
)  # fmt: skip
_JOBS_LABELS = ("controller-uid", "job-name")
_KUEUES = (("spec", "suspend"), ("spec", "runPolicy", "suspend"))  # once the object is there
_PROBES = (("inject", "true"), ("experiment", "probe"))  # intents that go to every template


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """One workload that waits for its adoption, and what that is."""

    found: Manifest
    kind: Kind
    decision: Decision  # what admission would make of it, were it created now

    @property
    def anew(self) -> bool:
        """Tell whether the object has to be made anew, because its template can't change."""
        return self.kind.immutable or self.kind.name == "Pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowing:
    """What is known of the cluster's policies, by which it is told what waits."""

    policies: PolicySet
    facts: Facts
    namespace: str

    def adoption(self, found: Manifest) -> Adoption | str:
        """Tell how an object is adopted, or why there is nothing to do."""
        kind = catalogue.of(self.policies).of(found)
        if kind is None:
            return f"a {found['kind']} makes no pods"
        if owner := _controller(found):
            return f"it belongs to {owner}, which is what to adopt"
        places = list(_metadata(found, kind, self.policies))
        request = objects.request(found, namespace=self.namespace, user=self.facts.user)
        if any(INJECTED in each for each in places):
            return self._again(request, kind)
        if not any(map(written, places)):
            return "it has no intents; what policies give all pods comes with its next ones"
        if demand.of(found, kind, catalogue.of(self.policies), {}).notes == ("it is over",):
            return "it is over"
        decision = engine.review(request, self.policies, self.facts)
        if not decision.patch and not decision.violations:
            return "its templates have all that they can carry"
        return Adoption(found=found, kind=kind, decision=decision)

    def _again(self, request: Request, kind: Kind) -> Adoption | str:
        """
        Tell what is to be written where templates carry other intents than the workload has.

        So it is where the intents were changed while no webhook acted. What was brought in since
        then is taken out and brought in anew, but for what Kueue has taken over.
        """
        found = request.object
        already = "it was brought in already"
        if kind.immutable or kind.name == "Pod":
            return already
        bare = engine.bare(request, self.policies)
        if bare.left:
            return f"{already}; whether with today's intents can't be told: {bare.left[0]}"
        anew = replace(request, object=bare.object)
        decision = engine.review(anew, self.policies, self.facts)
        made = Draft(decision.object)
        for path in _KUEUES:
            if lookup(found, path) is not None and lookup(made.object, path) is not None:
                made.set(path, lookup(found, path))
        if _carried(found, kind, self.policies) == _carried(made.object, kind, self.policies):
            return already
        draft = Draft(found)
        draft.object = made.object
        decision = replace(decision, object=made.object, patch=draft.patch())
        return Adoption(found=found, kind=kind, decision=decision)

    def effects(self, adoption: Adoption, after: Manifest, limits: list[Manifest]) -> Iterator[str]:
        """Say what becomes of the pods that are there."""
        found, kind, known = adoption.found, adoption.kind, catalogue.of(self.policies)
        if adoption.anew:
            yield "it is deleted and made anew: its pods begin from the start"
            return
        if kind.suspend and kind.suspend.holds(after) and not kind.suspend.holds(found):
            yield "it is suspended until its queue admits it: the pods that run end"
            return
        if not _rolls(found, after, kind, self.policies):
            yield "its templates stay as they are, so no pod is replaced"
            return
        yield rollouts.of(found, kind)
        request = objects.request(after, namespace=self.namespace, user=self.facts.user)
        rendered = engine.render(request, self.policies, self.facts).object
        classes = self.policies.accelerators
        then, now = (demand.of(one, kind, known, classes) for one in (found, rendered))
        if asked := {name: text for name, text in now.peak.quantities().items() if "/" in name}:
            told = ", ".join(f"{text} {name}" for name, text in asked.items())
            yield f"its pods ask for up to {told}, those of the surge counted"
        if kind.name in rollouts.ROLLED:
            yield from rollouts.over(limits, rollouts.more(then, now))


def _controller(found: Manifest) -> str:
    for owner in found["metadata"].get("ownerReferences") or ():
        if owner.get("controller") is True:
            return f'{owner["kind"]} "{owner["name"]}"'
    return ""


def _metadata(found: Manifest, kind: Kind, policies: PolicySet) -> Iterator[Any]:
    """Give the annotations of an object and of its templates."""
    yield found["metadata"].get("annotations") or {}
    for template in locate.templates(found, kind, catalogue.of(policies)):
        if template.metadata:
            yield lookup(found, (*template.metadata, "annotations")) or {}


def _carried(found: Manifest, kind: Kind, policies: PolicySet) -> list[Any]:
    """List the intents of each template."""
    _, *templates = _metadata(found, kind, policies)
    return [written(each) for each in templates]


def _rolls(found: Manifest, after: Manifest, kind: Kind, policies: PolicySet) -> bool:
    """Tell whether a template changes, and with it the pods that are made from it."""
    return any(
        lookup(found, at) != lookup(after, at)
        for template in locate.templates(after, kind, catalogue.of(policies))
        for at in (template.pod_spec, template.metadata or ())
        if at and at != ("metadata",)
    )


def resource_quotas(cluster: Cluster) -> list[Manifest]:
    """Read the namespace's ResourceQuotas, as far as one may."""
    try:
        return cluster.find_all("v1", "ResourceQuota")
    except (NotAllowed, NotFound):
        return []


def quota_verdicts(
    cluster: Cluster, knowing: Knowing, waiting: list[Adoption]
) -> list[tuple[Adoption, Verdict]]:
    """
    Tell what QuotaPolicies say of each that waits, one after another.

    What is there is charged as if it were injected, so its adoption takes nothing more; a pod
    that is made anew is charged with what it will ask for.
    """
    if not waiting or not knowing.policies.quotas:
        return []
    seen = quotas.look(cluster, knowing.policies)
    if any(one.group_by.by == "user" for one in knowing.policies.quotas):
        seen.facts = replace(seen.facts, user=User(username=cluster.username()))
    fitting, found = Fitting(seen=seen), []
    for one in waiting:
        known = len(fitting.verdicts)
        fitting.add(fresh(one.found) if one.anew else one.found)
        found += [(one, verdict) for verdict in fitting.verdicts[known:]]
    return found


# --- asking the server, and writing ------------------------------------------------------------


def check_acting(cluster: Cluster, adoption: Adoption, policies: PolicySet) -> None:
    """Raise where no webhook acts: then nobody would inject the pods that come of it."""
    found = adoption.found
    own = found["metadata"].get("annotations") or {}
    key, value = next((one for one in _PROBES if PREFIX + one[0] not in own), _PROBES[0])
    try:
        answer = _with(cluster, adoption, PREFIX + key, value)
    except (NotAllowed, NotFound, Unreachable):
        raise
    except ClusterError:
        return  # somebody looks at it: what is wrong will be said of what is asked for
    own, *templates = _metadata(answer, adoption.kind, policies)
    if adoption.kind.name == "Pod":
        acts = INJECTED in own
    else:  # where no template has metadata, nothing tells
        acts = not templates or any(PREFIX + key in each for each in templates)
    if acts:
        return
    namespace = found["metadata"].get("namespace") or cluster.namespace
    raise PluginError(
        f'no webhook acts in namespace "{namespace}", so nobody would inject the pods of '
        f"{objects.title(found)}",
        hint=f"kubectl label namespace {namespace} {PREFIX}enabled=true",
    )


def _with(cluster: Cluster, adoption: Adoption, key: str, value: str) -> Manifest:
    """Give the server's answer, in a dry run, to the object with one annotation more."""
    if adoption.anew:
        probe = fresh(adoption.found)
        probe["metadata"].setdefault("annotations", {})[key] = value
        return rehearsed(cluster, probe)
    annotations = {**(adoption.found["metadata"].get("annotations") or {}), key: value}
    operations: JSONPatch = [{"op": "add", "path": "/metadata/annotations", "value": annotations}]
    return cluster.edit(adoption.found, operations, dry_run=True)


def rehearsed(cluster: Cluster, manifest: Manifest) -> Manifest:
    """Create in a dry run under a name that isn't taken, and give the answer under its own."""
    name = manifest["metadata"]["name"]
    other = copy.deepcopy(manifest)
    other["metadata"]["name"] = f"{name[:50]}-{secrets.token_hex(3)}"
    answer = cluster.create(other, dry_run=True)
    answer["metadata"]["name"] = name
    return answer


def fresh(found: Manifest) -> Manifest:
    """Give an object as it can be created again: without what the server wrote into it."""
    made = copy.deepcopy(found)
    made.pop("status", None)
    for member in _SERVERS:
        made["metadata"].pop(member, None)
    if made["kind"] == "Pod":
        made["spec"].pop("nodeName", None)
        made["spec"].pop("ephemeralContainers", None)
    if made["kind"] == "Job" and not lookup(made, ("spec", "manualSelector")):
        made["spec"].pop("selector", None)
        labels = [made["metadata"], lookup(made, ("spec", "template", "metadata")) or {}]
        for place in labels:
            for name in _JOBS_LABELS:
                for label in (name, f"batch.kubernetes.io/{name}"):
                    (place.get("labels") or {}).pop(label, None)
    return made
