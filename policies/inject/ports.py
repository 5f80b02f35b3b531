"""Ports: the number behind a port that a policy names, as the pod's own containers have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.inject.pod import PodDraft


def number(pod: PodDraft, port: str) -> str:
    """Give a port's number; a name is looked up in the containers, and empty where none has it."""
    if not port or port.isdigit():
        return port
    for one in there(pod):
        if one.get("name") == port and one.get("containerPort"):
            return str(one["containerPort"])
    return ""


def there(pod: PodDraft) -> Iterator[dict[str, Any]]:
    """Go through the ports of the containers that receive; where none does yet, of all."""
    lists = [pod.draft.get((*one.path, "ports")) for one in pod.containers]
    if not pod.containers:
        lists = [one.get("ports") for one in pod.get("containers") or ()]
    for ports in lists:
        if isinstance(ports, list):
            yield from (one for one in ports if isinstance(one, dict))
