"""
Shared memory: `/dev/shm` as a memory volume, as large as the `shm` intent says.

    kubectl-ml.io/shm: 16Gi

Without the intent, a pod with devices gets what its device class or a policy says. A container
that mounts `/dev/shm` itself is left alone, and a Windows pod has none. Touches `volumes` and
`volumeMounts`.
"""

from __future__ import annotations

from policies import quantity, windows
from policies.inject import volumes
from policies.inject.pod import Author, Container, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.model import Accelerator, Manifest

POLICY = "shm"
DIGEST = "00000001"  # of this rule, which has no policy's content
VOLUME = "dshm"
PATH = "/dev/shm"  # noqa: S108 -- where POSIX shared memory is


def inject(
    pod: PodDraft,
    intents: Intents,
    rules: list[Rule],
    classes: list[Accelerator],
    devices: Author | None,
) -> None:
    """Inject shared memory of the size that the intent, a class or a policy names first."""
    if any(mount.path == PATH for mount in intents.mounts):
        if intents.shm:
            message = (
                f"kubectl-ml.io/shm: {PATH} is asked for twice, by shm and by mounts; keep one"
            )
            pod.refuse(POLICY, message, code=422)
        return
    author, size = _size(intents, rules, classes, devices)
    if author and windows.is_meant(pod.get()):
        if intents.shm:
            message = f"kubectl-ml.io/shm: a Windows pod has no {PATH}; take it out"
            pod.refuse(POLICY, message, code=422)
        return
    if author is None or not pod.allows("volumes", "volumeMounts"):
        return
    volume = {"emptyDir": {"medium": "Memory", "sizeLimit": size}}
    receiving = _receiving(pod, intents, volume, size)
    if not receiving:
        return
    name = volumes.ensure(pod, author, VOLUME, volume)
    for container in receiving:
        pod.add_mount(author, container, {"name": name, "mountPath": PATH})


def _receiving(pod: PodDraft, intents: Intents, volume: Manifest, size: str) -> list[Container]:
    """Find the receiving containers that don't mount shared memory themselves."""
    found = []
    for container in pod.containers:
        other = volumes.taken(pod, container, PATH, name=VOLUME, volume=volume)
        if other is None:
            found.append(container)
            continue
        why = f'conflict: {PATH} is mounted already, from volume "{other.get("name")}"'
        pod.skip(POLICY, (*container.path, "volumeMounts"), why)
        if intents.shm:
            pod.warn(
                f'{POLICY}: container "{container.name}" mounts {PATH} itself, not as large as '
                f'"{size}"; kept as it was written'
            )
    return found


def _size(
    intents: Intents, rules: list[Rule], classes: list[Accelerator], devices: Author | None
) -> tuple[Author | None, str]:
    if intents.shm:
        return family_author(POLICY, DIGEST), intents.shm
    sizes = [item.shm for item in classes if item.shm]
    if sizes and devices:
        if any(quantity.equal(size, "0") for size in sizes):
            return None, ""  # the device plugin mounts its own, which ours would hide
        return devices, max(sizes, key=quantity.parse)
    for rule in rules:
        if rule.inject.shm and (classes or "accelerator" not in rule.policy.match.intents):
            return rule.author, rule.inject.shm
    return None, ""
