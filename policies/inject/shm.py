"""
Shared memory: `/dev/shm` as a memory volume, as large as the `shm` intent says.

    kubectl-ml.io/shm: 16Gi

Without the intent, a pod with devices gets what its device class or a policy says. A container
that mounts `/dev/shm` itself is left alone. Touches `volumes` and `volumeMounts`.
"""

from __future__ import annotations

from policies import quantity
from policies.inject import volumes
from policies.inject.pod import Author, PodDraft, family_author
from policies.inject.prepared import Rule
from policies.intents import Intents
from policies.model import Accelerator

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
    author, size = _size(intents, rules, classes, devices)
    if author is None or not pod.allows("volumes", "volumeMounts"):
        return
    volume = {"emptyDir": {"medium": "Memory", "sizeLimit": size}}
    receiving = []
    for container in pod.containers:
        if volumes.taken(pod, container, PATH, name=VOLUME, volume=volume) is None:
            receiving.append(container)
        elif intents.shm:
            pod.warn(
                f'{POLICY}: container "{container.name}" mounts {PATH} itself, not as large as '
                f'"{size}"; kept as it was written'
            )
    if not receiving:
        return
    name = volumes.ensure(pod, author, VOLUME, volume)
    for container in receiving:
        pod.add_mount(author, container, {"name": name, "mountPath": PATH})


def _size(
    intents: Intents, rules: list[Rule], classes: list[Accelerator], devices: Author | None
) -> tuple[Author | None, str]:
    if intents.shm:
        return family_author(POLICY, DIGEST), intents.shm
    sizes = [item.shm for item in classes if item.shm]
    if sizes and devices:
        return devices, max(sizes, key=quantity.parse)
    for rule in rules:
        if rule.inject.shm and (classes or "accelerator" not in rule.policy.match.intents):
            return rule.author, rule.inject.shm
    return None, ""
