"""
Which runtimes of Kubeflow's Trainer run their launcher as one of the nodes.

Only the runtime says it, and a TrainJob's launcher gets what its nodes get only where it is known.
Both kinds of runtimes are followed; where they aren't served, or an installation's rights are older
than we are, there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from policies.workloads import catalogue, trainings
from policies.workloads.catalogue import Kind
from webhook.following import Allowed, Collection, Watcher

Name = tuple[str, str]  # namespace or "", name


class Objects(Protocol):
    """Gives access to all objects of a kind."""

    def objects(self, group: str, version: str, plural: str) -> Watcher:
        """List and follow them."""
        ...


@dataclass(slots=True, kw_only=True)
class Launchers:
    """What is known of the runtimes; `changed` is called, in a thread, when that changes."""

    api: Objects
    changed: Callable[[], None]
    _found: Mapping[str, frozenset[Name]] = field(default_factory=dict)  # by kind

    @property
    def known(self) -> frozenset[tuple[str, str, str]]:
        """Give the runtimes whose launcher is a node, as `Facts.launchers` has them."""
        return frozenset((kind, *one) for kind, found in self._found.items() for one in found)

    def collections(self) -> Iterator[tuple[str, Collection]]:
        """Give what is to be followed, each with its name."""
        for kind in catalogue.builtin().kinds.values():
            if kind.group == trainings.GROUP and kind.kind in trainings.RUNTIMES:
                yield kind.plural, self._collection(kind)

    def _collection(self, kind: Kind) -> Collection:
        def listed(runtimes: list[Any]) -> None:
            # the items of a list don't say their kind
            named = [{**one, **_type(kind)} for one in runtimes]
            self._take(kind, frozenset(filter(None, map(_launcher, named))))

        def changed(event: str, runtime: Any) -> None:
            metadata = runtime["metadata"]
            name = (metadata.get("namespace") or "", metadata["name"])
            is_one = event != "DELETED" and _launcher({**runtime, **_type(kind)})
            known = self._found.get(kind.kind, frozenset())
            self._take(kind, known | {name} if is_one else known - {name})

        source = Allowed(self.api.objects(kind.group, kind.versions[0], kind.plural))
        return Collection(source=source, listed=listed, changed=changed, optional=True)

    def _take(self, kind: Kind, found: frozenset[Name]) -> None:
        if found != self._found.get(kind.kind, frozenset()):
            self._found = {**self._found, kind.kind: found}
            self.changed()


def _type(kind: Kind) -> Mapping[str, str]:
    return {"apiVersion": f"{kind.group}/{kind.versions[0]}", "kind": kind.kind}


def _launcher(runtime: Any) -> Name | None:
    found = trainings.launcher_of(runtime)
    return found and found[1:]
