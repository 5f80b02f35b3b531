"""
Mounts: the `mounts` intent becomes volumes, mounts and, where data is fetched, an init container.

    kubectl-ml.io/mounts: imagenet:/data:ro, scratch://100Gi:/tmp/work

Touches `volumes`, `initContainers` and the `volumeMounts` of receiving containers. A path that the
user mounted is left alone and counts as met.
"""

from __future__ import annotations

from policies.errors import UnusableIntent
from policies.inject import volumes
from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Prepared, Rule
from policies.inject.sources import Plan
from policies.intents import Intents, Mount
from policies.match import Target
from policies.model import Facts

POLICY = "mounts"
INTENT = "kubectl-ml.io/mounts"


def inject(
    pod: PodDraft,
    intents: Intents,
    rules: list[Rule],
    *,
    prepared: Prepared,
    target: Target,
    facts: Facts,
) -> None:
    """Inject the mounts that the intent asks for, then those of policies."""
    if intents.mounts:
        _asked(pod, intents, prepared, target, facts)
    for rule in rules:
        for mount in rule.mounts:
            try:
                _mount(pod, rule.author, mount, prepared.plan(mount, target, facts))
            except UnusableIntent as error:
                pod.warn(f"{rule.author.name}: spec.inject.mounts: {error}")


def _asked(
    pod: PodDraft, intents: Intents, prepared: Prepared, target: Target, facts: Facts
) -> None:
    """Inject what the intent asks for: all of it, or, where one mount can't be, nothing."""
    plans: list[tuple[Mount, Plan]] = []
    for mount in intents.mounts:
        try:
            plans.append((mount, prepared.plan(mount, target, facts)))
        except UnusableIntent as error:
            pod.refuse(POLICY, f"{INTENT}: {error}", code=422)
    if len(plans) < len(intents.mounts):
        return
    digests = tuple(sorted({one.digest for _, one in plans}))
    author = family_author(POLICY, prepared.digest(digests))
    for mount, one in plans:
        if _mount(pod, author, mount, one):
            pod.unmet.append((POLICY, f'mount "{mount.path}"'))


def _mount(pod: PodDraft, author: Author, mount: Mount, wanted: Plan) -> bool:
    """Mount one plan into every receiving container; tell whether anything had to be added."""
    if not pod.allows("volumes", "volumeMounts", *wanted.needs):
        return False
    receiving = []
    for container in pod.containers:
        other = volumes.taken(pod, container, mount.path, name=wanted.name, volume=wanted.volume)
        if other is None:
            receiving.append(container)
        else:
            pod.warn(
                f'{author.name}: container "{container.name}" mounts {mount.path} itself, from '
                f'volume "{other.get("name")}"; kept as it was written'
            )
    if not receiving:
        return False
    name = volumes.ensure(pod, author, wanted.name, wanted.volume)
    if wanted.fetch is not None:
        fetch = {**wanted.fetch, "volumeMounts": [{"name": name, "mountPath": wanted.directory}]}
        pod.add_container(author, "initContainers", fetch)
    added = False
    for container in receiving:
        count = len(pod.draft.get((*container.path, "volumeMounts")) or ())
        pod.add_mount(author, container, {"name": name, "mountPath": mount.path, **wanted.mount})
        added |= len(pod.draft.get((*container.path, "volumeMounts")) or ()) != count
    return added
