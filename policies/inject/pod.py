"""
One pod being injected: a Pod, or a template seen as the pod it will be.

Injectors edit through `PodDraft`, which keeps what the user set, records who added what, and turns
every clash into what the policy's `onConflict` says. Adding what is there already changes nothing,
so every injector is idempotent by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from policies import quantity, windows
from policies.inject import provenance, remains
from policies.inject.provenance import Claims
from policies.inject.wording import named, shown, told
from policies.intents import INJECTED
from policies.model import Skip, Violation
from policies.patch import ABSENT, Draft, Path, element, lookup, pointer

LIMIT_RANGER = "kubernetes.io/limit-ranger"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_QUANTITIES = frozenset({"requests", "limits", "sizeLimit", "perDevice"})
# plugin/pkg/admission/limitranger/admission.go: "cpu, memory request for container NAME"
_LIMIT_RANGED = re.compile(r"([^;:]+) (request|limit) for (?:init )?container ([^;\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who adds: a policy's name, the hash of its content, and what it does on a conflict."""

    name: str
    digest: str
    on_conflict: str = "Keep"
    key: str = field(init=False)  # the name under which provenance knows it

    def __post_init__(self) -> None:
        """Make the key once."""
        object.__setattr__(self, "key", f"{self.name}@{self.digest}")


@lru_cache(maxsize=1024)
def family_author(name: str, digest: str) -> Author:
    """Give the author that speaks for a family rather than for a policy."""
    return Author(name=name, digest=digest)


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Container:
    """A receiving container: its name, its path, and where its resources and env are written."""

    name: str
    path: Path
    resources: Path
    env: Path


@dataclass(slots=True, kw_only=True)
class PodDraft:
    """
    A pod and where it lies in the draft: `spec` and `metadata` are paths from the draft's root.

    `accepts` and `rejects` name the pod fields that may, or may not, be written here (a template
    of a kind whose own webhook is strict). `unmet` collects what an intent asked for and this run
    had to add.
    """

    draft: Draft
    spec: Path
    metadata: Path | None
    whole: bool = False  # pointers are from the object's root, which for a Pod is the pod's
    keyed: bool = False  # its paths have (key, value) steps
    containers: tuple[Container, ...] = ()
    finishes: bool = False
    accepts: frozenset[str] | None = None
    rejects: frozenset[str] = frozenset()
    claims: Claims = field(default_factory=Claims)
    prior: Claims = field(default_factory=Claims)
    known: Claims = field(default_factory=Claims)  # ours if they are as wanted, else let go
    unclaimed: list[tuple[Author, str]] = field(
        default_factory=list
    )  # as wanted, and not known ours
    warnings: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    unmet: list[tuple[str, str]] = field(default_factory=list)  # (policy, what) that was asked for
    unheard: tuple[str, ...] = ()  # what other injectors should have done by the end, as warnings
    skipped: list[str] = field(default_factory=list)  # fields that this template can't hold
    skips: list[Skip] | None = None  # what wasn't added and why; None: nobody asks
    defaulted: frozenset[tuple[str, str, str]] = (
        frozenset()
    )  # by LimitRanger: container, kind, resource

    def allows(self, *fields: str) -> bool:
        """Tell whether all these pod fields may be written here; remember those that may not."""
        if not self.rejects and self.accepts is None:
            return True
        refused = [
            name
            for name in fields
            if name in self.rejects
            or (self.accepts is not None and name.partition(".")[0] not in self.accepts)
        ]
        self.skipped += refused
        for name in refused:
            self.skip("intents", (*self.spec, name), "this template can't hold it; its pods get it")
        return not refused

    def get(self, *steps: str | int) -> Any:
        """Read a member of the pod spec."""
        return self.draft.get((*self.spec, *steps))

    def names(self, *lists: str) -> dict[str, Any]:
        """Collect the named elements of lists of the pod spec, by name."""
        return {
            item["name"]: item
            for member in lists
            for item in self.get(member) or ()
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        }

    def put(
        self, author: Author, path: Path, value: Any, *, unset: Any = None, quiet: bool = False
    ) -> bool:
        """
        Set a member, unless it is set already; tell whether it is as wanted afterwards.

        A present value equal to `unset` (an API server's default) is not the user's. `quiet`: a
        default that gives way without a warning.
        """
        current = self.draft.get(path)
        if current is None or (unset is not None and current == unset and value != unset):
            before = remains.before(self, path, current, value)
            self.draft.set(path, value)
            self._claim(author, path, before)
            return True
        if covers(current, value):
            self._again(author, path)
            return True
        if quiet and author.on_conflict == "Keep":
            if self.skips is not None:
                self.skip(author.name, path, f"already {shown(current)}")
            return False
        return self._conflict(author, path, current, value)

    def put_quantity(self, author: Author, path: Path, amount: str, *, unset: Any = None) -> None:
        """Set a quantity that gives way to the user's without a word; `2` is as wanted as `"2"`."""
        current = self.draft.get(path)
        if current is not None and quantity.equal(current, amount):
            self._again(author, path)
        else:
            self.put(author, path, amount, unset=unset, quiet=True)

    def add(
        self, author: Author, path: Path, item: Mapping[str, Any], *, key: str = "name"
    ) -> bool:
        """Add an element to a list, unless one of its name is there; tell if it is as wanted."""
        items = self.draft.get(path)
        index = element(items, key, item[key]) if items else -1
        if index < 0:
            index = self.draft.append(path, item)
            self._claim(author, (*path, index), ABSENT)
            return True
        if covers(items[index], item):
            self._again(author, (*path, index))
            return True
        return self._conflict(author, (*path, index), items[index], item)

    def add_value(self, author: Author, path: Path, item: Any) -> None:
        """Add an element without a name to a list, unless an equal one is there."""
        items = self.draft.get(path) or ()
        for index, present in enumerate(items):
            if covers(present, item):
                self._again(author, (*path, index))
                return
        index = self.draft.append(path, item)
        self._claim(author, (*path, index), ABSENT)

    def add_container(self, author: Author, member: str, container: Mapping[str, Any]) -> bool:
        """
        Add a container of ours to `containers` or `initContainers`.

        The ServiceAccount plugin, which ran before us, would mount the token into it when it runs
        again, and have us asked again: so the mount that the others got is there at once.
        """
        if windows.is_declared(self.get()):
            container = windows.fitting(container)
        token = self._token_mount()
        if token:
            mounts = container.get("volumeMounts") or []
            if all(mount.get("mountPath") != TOKEN_PATH for mount in mounts):
                container = {**container, "volumeMounts": [*mounts, token]}
        return self.add(author, (*self.spec, member), container)

    def _token_mount(self) -> Any:
        for container in self.containers:
            mounts = self.draft.get((*container.path, "volumeMounts"))
            index = element(mounts, "mountPath", TOKEN_PATH)
            if index >= 0:
                return mounts[index]
        return None

    def add_env(self, author: Author, items: Iterable[Mapping[str, Any]]) -> None:
        """
        Add environment variables to every receiving container.

        One that refers to another, which this template can't hold, waits for the pod with it.
        """
        waiting: list[str] = []
        for item in items:
            source = item.get("valueFrom") or ()
            fields = [
                f"env.valueFrom.{name}"
                for name in ("fieldRef", "resourceFieldRef")
                if name in source
            ]
            value = item.get("value") or ""
            if not self.allows("env", *fields) or any(name in value for name in waiting):
                waiting.append(f"$({item['name']})")
                continue
            for container in self.containers:
                self.add(author, container.env, item)

    def add_mount(self, author: Author, container: Container, mount: Mapping[str, Any]) -> bool:
        """Mount a volume into a container, unless its path is taken; tell if it is as wanted."""
        return self.add(author, (*container.path, "volumeMounts"), mount, key="mountPath")

    def again(self, author: Author, path: Path) -> None:
        """Keep up the claim on a value that is there already, if it was ours."""
        self._again(author, path)

    def warn(self, message: str) -> None:
        """Tell the user something, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def skip(self, policy: str, path: Path, why: str) -> None:
        """Say what isn't added and why, where somebody asks."""
        if self.skips is not None:
            at = pointer(self.draft.resolve(path))
            self.skips.append(Skip(policy=policy, path=at, why=why))

    def refuse(self, policy: str, message: str, *, code: int, path: str = "") -> None:
        """Record why the object is refused."""
        violation = Violation(policy=policy, message=message, path=path, code=code)
        if violation not in self.violations:
            self.violations.append(violation)

    def pointer(self, path: Path) -> str:
        """Write a path as a pointer from the pod's root, whatever holds the template."""
        if self.whole and not self.keyed:
            return pointer(path)
        path = self.draft.resolve(path)
        if self.whole:
            return pointer(path)
        spec = self.draft.resolve(self.spec)
        if path[: len(spec)] == spec:
            return "/spec" + pointer(path[len(spec) :])
        if self.metadata is not None:
            metadata = self.draft.resolve(self.metadata)
            if path[: len(metadata)] == metadata:
                return "/metadata" + pointer(path[len(metadata) :])
        return pointer(path)

    def where(self, at: str) -> Path | None:
        """Find the path that a claim's pointer stands for; None where nothing is."""
        if self.whole:
            return self._find((), at)
        if f"{at}/".startswith("/metadata/") and self.metadata is not None:
            return self._find(self.metadata, at[len("/metadata") :])
        if f"{at}/".startswith("/spec/"):
            # What a kind says of its pods outside their template is claimed from the object's root.
            return self._find(self.spec, at[len("/spec") :]) or self._find((), at)
        return None

    def _find(self, base: Path, at: str) -> Path | None:
        return provenance.find(self.draft.object, self.draft.resolve(base), at)

    def sign(self) -> None:
        """
        Write the provenance: what was claimed now, and earlier claims on what is there still.

        Without any claim the annotation goes.
        """
        if self.metadata is None:
            return
        path = (*self.metadata, "annotations", INJECTED)
        was = self.prior.was
        self._keep_up()
        if self.claims.by_policy:
            if self.draft.get(path) is None:
                self.draft.set(path, "")
            self.claims.was = remains.deviations(self, was)
            text = provenance.write(self.claims)
            if self.draft.get(path) != text:
                self.draft.set(path, text)
        elif self.draft.get(path) is not None:
            self.draft.remove(path)

    def _keep_up(self) -> None:
        """
        Keep up the earlier claims on what is there still.

        Another webhook may have moved an element of ours: then a claim that is left over for the
        same list is its.
        """
        for author, at in self.unclaimed:
            before = self.prior.take_alike(author.name, at)
            if before is not None:
                self.claims.add(author.key, at, before)
        for policy, claims in self.prior.by_policy.items():
            if not claims:  # too large once: only the name is left
                self.claims.by_policy.setdefault(policy, {})
        for policy, at, before in self.prior:
            if self.where(at) is not None:
                self.claims.add(policy, at, before)
        self.prior = Claims()

    def claimed(self, path: Path) -> bool:
        """Tell whether what is at a path is a policy's, of this review or an earlier one."""
        at = self.pointer(path)
        return any(one.before(at) is not None for one in (self.claims, self.prior, self.known))

    def _claim(self, author: Author, path: Path, before: Any) -> None:
        self.claims.add(author.key, self.pointer(path), before)

    def _again(self, author: Author, path: Path) -> None:
        if not self.prior.by_policy and not self.known.by_policy:
            return
        at = self.pointer(path)
        before = self.prior.take(author.name, at)
        if before is None:
            before = self.known.take(author.name, at)
            if before is not None and self.claims.before(at) is not None:
                return  # another policy has set it this time
        if before is None:
            self.unclaimed.append((author, at))
        else:
            self.claims.add(author.key, at, before)

    def _conflict(self, author: Author, path: Path, current: Any, wanted: Any) -> bool:
        at = self.pointer(path)
        if author.on_conflict == "Override":
            self.draft.set(path, wanted)
            before = self.prior.take(author.name, at)
            for claims in (self.claims, self.prior):  # another policy's claim: what was there first
                before = claims.before(at) if before is None else before
            self.claims.add(author.key, at, current if before is None else before)
            return True
        what = f"{at}{named(wanted)} is {told(current, wanted)}"
        if author.on_conflict == "Deny":
            self.refuse(author.name, f"{what}; take it out or set it so", code=403, path=at)
        else:
            self.warn(f"{author.name}: {what}; kept as it was written")
            self.skip(author.name, path, f"already {shown(current)}")
        return False


def covers(present: Any, wanted: Any, *, quantities: bool = False) -> bool:
    """
    Tell whether `present` says all that `wanted` says.

    The API server, LimitRanger and other webhooks add to what we injected; it is still ours.
    """
    if present == wanted and type(present) is type(wanted):
        return True
    if isinstance(wanted, dict):
        return isinstance(present, dict) and all(
            key in present
            and covers(present[key], value, quantities=quantities or key in _QUANTITIES)
            for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(present, list)
            and len(present) >= len(wanted)
            and all(any(covers(one, other) for one in present) for other in wanted)
        )
    return quantities and quantity.equal(present, wanted)


def limit_ranged(annotation: Any) -> frozenset[tuple[str, str, str]]:
    """Read what LimitRanger says it defaulted: (container, requests or limits, resource)."""
    if not isinstance(annotation, str):
        return frozenset()
    return frozenset(
        (container, kind + "s", resource.strip())
        for resources, kind, container in _LIMIT_RANGED.findall(annotation)
        for resource in resources.split(",")
    )


def annotation(obj: Any, metadata: Path | None, key: str) -> Any:
    """Read one annotation of the pod whose metadata is at `metadata`."""
    return None if metadata is None else lookup(obj, (*metadata, "annotations", key))
