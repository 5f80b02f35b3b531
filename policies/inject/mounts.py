"""
Mounts: the `mounts` intent becomes volumes, mounts and, where data is fetched, an init container.

    kubectl-ml.io/mounts: imagenet:/data:ro, scratch://100Gi:/tmp/work

Touches `volumes`, `initContainers` and the `volumeMounts` of receiving containers; for an image's
files without image volumes `shareProcessNamespace`, for a Fluid dataset `affinity`. A path that the
user mounted is left alone and counts as met.
"""

from __future__ import annotations

from policies import windows
from policies.errors import UnusableIntent
from policies.inject import beside, fetching, volumes
from policies.inject.pod import Author, Container, PodDraft, family_author
from policies.inject.prepared import Prepared, Rule
from policies.inject.sources import Plan
from policies.intents import Intents, Mount
from policies.match import Target
from policies.model import Facts, Manifest

POLICY = "mounts"
INTENT = "kubectl-ml.io/mounts"
NEAR = 50  # of 100: what Fluid's own webhook gives nodes with a cache
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


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
                wanted = _possible(pod, prepared.plan(mount, target, facts), facts)
                _mount(pod, rule.author, mount, wanted, facts)
            except UnusableIntent as error:
                pod.warn(f"{rule.author.name}: spec.inject.mounts: {error}")


def fetches(
    intents: Intents, rules: list[Rule], *, prepared: Prepared, target: Target, facts: Facts
) -> bool:
    """Tell whether an init container fetches anything of what is mounted."""
    for mount in (*intents.mounts, *(mount for rule in rules for mount in rule.mounts)):
        try:
            if prepared.plan(mount, target, facts).fetch is not None:
                return True
        except UnusableIntent:  # said elsewhere
            continue
    return False


def _asked(
    pod: PodDraft, intents: Intents, prepared: Prepared, target: Target, facts: Facts
) -> None:
    """Inject what the intent asks for: all of it, or, where one mount can't be, nothing."""
    plans: list[tuple[Mount, Plan]] = []
    for mount in intents.mounts:
        try:
            plans.append((mount, _possible(pod, prepared.plan(mount, target, facts), facts)))
        except UnusableIntent as error:
            pod.refuse(POLICY, f"{INTENT}: {error}", code=422)
    if len(plans) < len(intents.mounts):
        return
    digests = tuple(sorted({one.digest for _, one in plans}))
    author = family_author(POLICY, prepared.digest(digests))
    for mount, one in plans:
        if _mount(pod, author, mount, one, facts):
            pod.unmet.append((POLICY, f'mount "{mount.path}"'))


def _possible(pod: PodDraft, wanted: Plan, facts: Facts) -> Plan:
    """Give a plan that this pod can carry out; raises UnusableIntent for another."""
    if wanted.beside is not None:
        beside.check(pod, facts)
    in_memory = (wanted.volume.get("emptyDir") or {}).get("medium") == "Memory"
    if in_memory and windows.is_meant(pod.get()):
        raise UnusableIntent("a Windows pod has no volumes in memory; take scratch:// instead")
    return wanted


def _mount(pod: PodDraft, author: Author, mount: Mount, wanted: Plan, facts: Facts) -> bool:
    """Mount one plan into every receiving container; tell whether anything had to be added."""
    if not pod.allows("volumes", "volumeMounts", *wanted.needs):
        return False
    receiving = _receiving(pod, author, mount, wanted)
    if not receiving:
        return False
    before = _size(pod, receiving)
    name = volumes.ensure(pod, author, wanted.name, wanted.volume)
    if wanted.fetch is not None:
        _fetch(pod, author, wanted, name)
    if wanted.beside is not None:
        beside.inject_beside(pod, author, wanted.beside, volume=name, facts=facts)
    for container in receiving:
        pod.add_mount(author, container, {"name": name, "mountPath": mount.path, **wanted.mount})
    added = _size(pod, receiving) != before
    _place(pod, author, wanted)
    what, revision = wanted.revision
    if revision:
        pod.claims.note(what, revision)
    return added


def _receiving(pod: PodDraft, author: Author, mount: Mount, wanted: Plan) -> list[Container]:
    """List the containers whose path is free, or holds this mount already."""
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
            why = f'conflict: {mount.path} is mounted already, from volume "{other.get("name")}"'
            pod.skip(author.name, (*container.path, "volumeMounts"), why)
    return receiving


def _size(pod: PodDraft, receiving: list[Container]) -> int:
    """Count what a mount needs: containers, and mounts of those that receive."""
    lists = [(*pod.spec, "initContainers"), (*pod.spec, "containers")]
    lists += [(*container.path, "volumeMounts") for container in receiving]
    return sum(len(pod.draft.get(path) or ()) for path in lists)


def _fetch(pod: PodDraft, author: Author, wanted: Plan, name: str) -> None:
    assert wanted.fetch is not None  # noqa: S101 -- the caller asked
    mounts: list[Manifest] = [{"name": name, "mountPath": fetching.DIRECTORY}]
    if wanted.keys is not None:
        secret = wanted.keys["secret"]["secretName"]
        keys = volumes.ensure(pod, author, f"ml-keys-{volumes.slug(secret)}", wanted.keys)
        mounts.append({"name": keys, "mountPath": fetching.KEYS, "readOnly": True})
    pod.add_container(author, "initContainers", {**wanted.fetch, "volumeMounts": mounts})
    if windows.is_meant(pod.get()):
        pod.warn(
            f'{author.name}: the init container "{wanted.fetch["name"]}" runs on Windows; its '
            f'image "{wanted.fetch["image"]}" has to be one for that, set `image` in the DataSource'
        )


def _place(pod: PodDraft, author: Author, wanted: Plan) -> None:
    """Prefer the nodes that are nearest to the data, and tell the driver that mounts it."""
    if wanted.prefer and pod.allows("affinity"):
        term = {"key": wanted.prefer, "operator": "In", "values": ["true"]}
        path = (*pod.spec, "affinity", "nodeAffinity", _PREFERRED)
        preference = {"matchExpressions": [term]}
        pod.add_value(author, path, {"weight": NEAR, "preference": preference})
    if wanted.annotations and pod.metadata is not None and pod.allows("annotations"):
        for key, value in wanted.annotations.items():
            pod.put(author, (*pod.metadata, "annotations", key), value)
