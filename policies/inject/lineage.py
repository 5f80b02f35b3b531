"""
Lineage: which data a pod works on, as the value of a label.

    kubectl-ml.io/mounts: imagenet@v3:/data, scratch://10Gi:/tmp/work   ->   imagenet-v3

Named sources and places of data count, each with its revision, the one resolved for it too; space
to work in and files of settings don't.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from policies.intents import Mount

NO_DATA = frozenset({"scratch", "memory", "configmap", "secret"})
MAX_LABEL = 63
_OTHERS = re.compile(r"[^A-Za-z0-9_.]+")
_EDGES = "-_."


def dataset(mounts: Iterable[Mount], revisions: Mapping[str, str]) -> str:
    """Name the data of these mounts, within what a label can hold; empty where there is none."""
    names = [_name(one, revisions) for one in mounts if one.scheme not in NO_DATA]
    whole = "_".join(dict.fromkeys(filter(None, names)))
    if len(whole) <= MAX_LABEL:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    return f"{whole[: MAX_LABEL - 7].rstrip(_EDGES)}-{digest}"


def _name(mount: Mount, revisions: Mapping[str, str]) -> str:
    text = mount.source + (f"/{mount.sub}" if mount.sub else "")
    revision = "" if mount.scheme else mount.revision or revisions.get(mount.source, "")
    return _OTHERS.sub("-", f"{text}@{revision}").strip(_EDGES)
