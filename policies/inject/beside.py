"""
Beside: an image's files on a server without image volumes, from a sidecar that runs that image.

KServe calls this a modelcar: the containers of the pod share their processes, and links in a shared
volume lead through `/proc` to the sidecar's files, which only its own user can read.
"""

from __future__ import annotations

from policies import windows
from policies.errors import UnusableIntent
from policies.inject.fetching import DIRECTORY
from policies.inject.pod import Author, PodDraft
from policies.model import Facts, Manifest
from policies.patch import Path

NATIVE_SINCE = (1, 29)  # KEP-753: native sidecars are on by default
USER = 1000  # where the pod names none


def check(pod: PodDraft, facts: Facts) -> None:
    """Raise UnusableIntent where a sidecar can't give its files to this pod."""
    version = ".".join(map(str, facts.kube_version))
    why = f"Kubernetes {version} has no image volumes, and the sidecar in their place"
    if windows.is_meant(pod.get()):
        raise UnusableIntent(f"{why} can't share processes on Windows; copy the files instead")
    if pod.get("shareProcessNamespace") is False:
        raise UnusableIntent(f"{why} needs shared processes; take shareProcessNamespace: false out")
    if pod.get("hostPID"):
        raise UnusableIntent(f"{why} can't share processes with the node; take hostPID out")
    if pod.finishes and facts.kube_version < NATIVE_SINCE:
        raise UnusableIntent(f"{why} would keep this pod from finishing; copy the files instead")


def inject_beside(
    pod: PodDraft, author: Author, container: Manifest, *, volume: str, facts: Facts
) -> None:
    """Add the sidecar, native where the server has native ones, and share the pod's processes."""
    found: Manifest = {
        **container,
        "volumeMounts": [{"name": volume, "mountPath": DIRECTORY}],
        "securityContext": {**container["securityContext"], "runAsUser": _user(pod, author)},
    }
    pod.put(author, (*pod.spec, "shareProcessNamespace"), True)
    if facts.kube_version >= NATIVE_SINCE:
        pod.add_container(author, "initContainers", {**found, "restartPolicy": "Always"})
        return
    found.pop("startupProbe")
    version = ".".join(map(str, facts.kube_version))
    pod.warn(
        f"{author.name}: Kubernetes {version} has no native sidecars, so the files of "
        f'"{found["image"]}" can appear after the container has started; have it wait for them'
    )
    pod.add_container(author, "containers", found)


def _user(pod: PodDraft, author: Author) -> int:
    """Find the user that reads: the sidecar has to be the same one."""
    users = {_user_of(pod, container.path) for container in pod.containers}
    user = users.pop() if len(users) == 1 else None
    if isinstance(user, int) and user > 0:
        return user
    names = ", ".join(f'"{container.name}"' for container in pod.containers)
    pod.warn(
        f"{author.name}: the files come from a sidecar that runs as user {USER}, and no other user "
        f"can read them; set securityContext.runAsUser: {USER} in container {names}"
    )
    return USER


def _user_of(pod: PodDraft, path: Path) -> object:
    own = pod.draft.get((*path, "securityContext", "runAsUser"))
    return pod.get("securityContext", "runAsUser") if own is None else own
