"""Volumes: give a pod a volume under a free name, and mount it where the path is free."""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import Any

from policies.inject.pod import Author, Container, PodDraft, covers
from policies.model import Manifest
from policies.patch import element

MAX_NAME_LENGTH = 63  # RFC 1123 label
_NOT_LABEL = re.compile(r"[^a-z0-9]+")


def slug(text: str, *, limit: int = 40) -> str:
    """Make a part of a name out of any text; what is lost is told apart by a short hash."""
    plain = _NOT_LABEL.sub("-", text.lower()).strip("-")
    if plain == text and len(plain) <= limit:
        return plain
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain[: limit - 7].strip('-')}-{digest}".strip("-")


def ensure(pod: PodDraft, author: Author, name: str, volume: Manifest) -> str:
    """
    Give the pod `volume` (without its name) under `name`, and tell the name it got.

    A volume of that name that is another one keeps it; ours takes `name-2` then, and so on. So it
    does where a container mounts the name already, and there is no such volume.
    """
    path = (*pod.spec, "volumes")
    present = pod.draft.get(path) or []
    mounted = _mounted(pod)
    candidate = name
    for number in itertools.count(2):
        index = element(present, "name", candidate)
        if (
            candidate not in mounted
            if index < 0
            else covers(present[index], volume, quantities=True)
        ):
            break
        candidate = f"{name}-{number}"
    pod.add(author, path, {"name": candidate, **volume})
    return candidate


def _mounted(pod: PodDraft) -> set[Any]:
    """
    List the volumes that containers mount.

    One that isn't there was named in the hope of ours: whoever mounts a volume of the admin's that
    way could write where the source is read-only, and read beside the path that it gives.
    """
    return {
        mount.get("name")
        for member in ("containers", "initContainers")
        for container in pod.get(member) or ()
        for mount in container.get("volumeMounts") or ()
    }


def taken(pod: PodDraft, container: Container, path: str, *, name: str, volume: Manifest) -> Any:
    """Find the mount that already has `path` in the container and isn't of this volume."""
    mounts = pod.draft.get((*container.path, "volumeMounts")) or []
    for mount in mounts:
        if isinstance(mount.get("mountPath"), str) and mount["mountPath"].rstrip("/") == path:
            named = str(mount.get("name"))
            present = pod.get("volumes") or []
            index = element(present, "name", named) if named.startswith(name) else -1
            ours = index >= 0 and covers(present[index], volume, quantities=True)
            return None if ours else mount
    return None
