"""The LimitRanges or the ResourceQuotas of all namespaces, as the API server tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from policies.model import Manifest

_KEPT = ("name", "namespace")


class Bounds:
    """
    What bounds pods, by namespace.

    One thread writes and others read: each namespace's tuple is replaced as a whole, so a reader
    sees it as it was or as it is.
    """

    def __init__(self) -> None:
        self.by_namespace: Final[dict[str, Sequence[Manifest]]] = {}
        self.read = False  # once; before that nobody knows whether there are any

    def listed(self, found: list[Any]) -> None:
        """Take all that there are."""
        grouped: dict[str, list[Manifest]] = {}
        for one in found:
            grouped.setdefault(one["metadata"]["namespace"], []).append(_small(one))
        for gone in self.by_namespace.keys() - grouped.keys():
            del self.by_namespace[gone]
        for namespace, several in grouped.items():
            self.by_namespace[namespace] = tuple(several)
        self.read = True

    def changed(self, kind: str, found: Any) -> None:
        """Take one that was made, changed or deleted."""
        metadata = found["metadata"]
        namespace = metadata["namespace"]
        others = tuple(
            one
            for one in self.by_namespace.get(namespace, ())
            if one["metadata"]["name"] != metadata["name"]
        )
        if kind != "DELETED":
            self.by_namespace[namespace] = (*others, _small(found))
        elif others:
            self.by_namespace[namespace] = others
        else:
            self.by_namespace.pop(namespace, None)


def _small(found: Any) -> Manifest:
    """Leave out what nobody reads, such as who manages its fields."""
    metadata = {key: found["metadata"][key] for key in _KEPT}
    small = {"metadata": metadata, "spec": found.get("spec") or {}}
    return small | ({"status": found["status"]} if found.get("status") else {})
