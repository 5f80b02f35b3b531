"""
Policies from the cluster: our objects, watched, over those of directories and the library.

Each kind is listed and followed by a thread of its own; what they find is judged object by object,
so that one that can't be used takes none of the others down: it is left out, and said. Another
thread puts together what can be used, and swaps it in as a whole. While the API server is away the
last set stays in force. Kinds whose definition isn't installed have no objects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from policies import load
from policies.inject.prepared import prepare
from policies.model import API_VERSION, Manifest, PolicySet
from webhook import definitions, following
from webhook.errors import NotReady
from webhook.following import PACE, Collection, Follower, Pace, Watcher
from webhook.policy_files import counts

# Changes that come together (`kubectl apply -f` of a directory) are taken over together.
SETTLE_SECONDS = 0.05

Key = tuple[str, str]  # the kind, and NAME or NAMESPACE/NAME


class Api(Protocol):
    """Gives our own resources; see `apiserver`."""

    def own(self, plural: str) -> Watcher:
        """List and follow one kind of our own objects."""
        ...


class Recorder(following.Recorder, Protocol):
    """Counts what became of the objects."""

    def policies_loaded(self, counts: tuple[tuple[str, int], ...]) -> None:
        """Say how many policies of each kind are in force."""
        ...

    def policies_unusable(self, count: int) -> None:
        """Say how many objects are left out."""
        ...


class Files(Protocol):
    """The policies of directories and the library."""

    current: PolicySet
    on_taken: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object, and what is wrong with it."""

    value: Manifest
    faults: tuple[str, ...] = ()


@dataclass(kw_only=True)
class ClusterPolicies:
    """The policies in force, from `start` on until `stop`. `on_change` is told of each new set."""

    api: Api
    files: Files
    recorder: Recorder
    log: FilteringBoundLogger
    pace: Pace = PACE
    on_change: Callable[[], None] = lambda: None
    _current: PolicySet = field(init=False)
    _held: dict[Key, Held] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)
    _ready: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _dirty: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._current = self.files.current
        self.files.on_taken = self._dirty.set

    @property
    def current(self) -> PolicySet:
        """Give the set in force, or raise NotReady: a guard that isn't read yet can't refuse."""
        if not self._ready:
            raise NotReady(f"not ready: {self.unready}")
        return self._current

    @property
    def unready(self) -> str:
        """Say why the cluster's policies aren't in force yet; nothing where they are."""
        return "" if self._ready else "the cluster's policies aren't read yet"

    @property
    def held(self) -> Mapping[Key, Held]:
        """Give the objects as they are now."""
        with self._lock:
            return dict(self._held)

    def start(self) -> None:
        """Begin to follow."""
        for kind in kinds():
            Follower(
                name=kind,
                follow=self._collection(kind).follow,
                meanwhile=lambda: "the last good policies stay in force",
                recorder=self.recorder,
                log=self.log,
                pace=self.pace,
                stopped=self._stopped,
            ).start()
        threading.Thread(target=self._take_over, name="policies", daemon=True).start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()
        self._dirty.set()

    def _collection(self, kind: str) -> Collection:
        def listed(values: list[Any]) -> None:
            # The items of a list don't say what they are.
            known = {key: one for key, one in self.held.items() if key[0] == kind}
            found = {_key(kind, one): self._hold(kind, one, known) for one in values}
            with self._lock:
                self._held = {k: v for k, v in self._held.items() if k[0] != kind} | found
                self._listed.add(kind)
            self._dirty.set()

        def changed(event: str, value: Any) -> None:
            key, before = _key(kind, value), self.held
            held = None if event == "DELETED" else self._hold(kind, value, before)
            with self._lock:
                if held is None:
                    self._held.pop(key, None)
                else:
                    self._held[key] = held
            if held is None or not _is_same(held, before.get(key)):
                self._dirty.set()

        source = self.api.own(definitions.KINDS[kind].plural)
        return Collection(source=source, listed=listed, changed=changed, optional=True)

    def _hold(self, kind: str, value: Any, known: Mapping[Key, Held]) -> Held:
        """Judge an object; a change of its status alone isn't judged again."""
        value = {**value, "apiVersion": API_VERSION, "kind": kind}
        before = known.get(_key(kind, value))
        if before is not None and _is_same(Held(value=value), before):
            return Held(value=value, faults=before.faults)
        faults = tuple(fault.sentence for fault in load.judged(value))
        if not faults:
            try:
                load.over(PolicySet(), [value])
            except Exception:
                self.log.exception("a policy can't be built", kind=kind, name=_key(kind, value)[1])
                faults = ("it can't be built; the webhook's log says why",)
        if faults:
            self.log.error(
                "a policy is left out", kind=kind, name=_key(kind, value)[1], faults=faults
            )
        return Held(value=value, faults=faults)

    def _take_over(self) -> None:
        """Put together and swap in, again and again."""
        while not self._stopped.is_set():
            self._dirty.wait()
            self._stopped.wait(SETTLE_SECONDS)
            self._dirty.clear()
            try:
                self._swap()
            except Exception:
                self.log.exception("policies can't be put together; the last ones stay in force")

    def _swap(self) -> None:
        with self._lock:
            held, ready = dict(self._held), len(self._listed) == len(kinds())
        usable = [one.value for _, one in sorted(held.items()) if not one.faults]
        policies = load.over(self.files.current, usable) if usable else self.files.current
        first = ready and not self._ready
        if first or policies is not self._current:
            prepare(policies)  # here, so that no review has to wait for it
            self._current = policies
            self.log.info("policies in force", **dict(counts(policies)))
        self._ready = self._ready or ready
        self.recorder.policies_loaded(counts(policies))
        self.recorder.policies_unusable(len(held) - len(usable))
        self.on_change()


def kinds() -> tuple[str, ...]:
    """Name the kinds that are followed."""
    return tuple(kind for kind in definitions.KINDS if kind in load.KINDS)


def _is_same(held: Held, before: Held | None) -> bool:
    """Tell whether only what isn't the admin's changed, such as the status."""
    return before is not None and before.value.get("spec") == held.value.get("spec")


def _key(kind: str, value: Any) -> Key:
    metadata = value["metadata"]
    namespace = metadata.get("namespace")
    return kind, f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
