"""
Which of the replicas writes: a Lease that one of them holds.

What only one should write (the status of policies) is written by the holder. Two holders for a
moment would do no harm, since what they write is what they both see; none for a while neither.
The client's own election can't be stopped and doesn't give the Lease back, so this one is ours.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from webhook.apiserver import Conflicting, NotFound
from webhook.errors import NotReachable

LEASE = "kubectl-ml"
DURATION_SECONDS = 15
RENEW_SECONDS = 4
# A holder that couldn't renew stops to write well before others may take over.
HOLDS_SECONDS = 10


class Api(Protocol):
    """Sends requests to the API server."""

    def ask(self, method: str, path: str, *, what: str, body: Any = None) -> Any:
        """Send one request; see `apiserver`."""
        ...


class Leader:
    """One candidate, named `identity`, for the Lease of `namespace`."""

    def __init__(self, api: Api, *, namespace: str, identity: str) -> None:
        self.identity = identity
        self._api = api
        self._namespace = namespace
        self._renewed = float("-inf")
        self._seen: tuple[Any, float] = (None, 0.0)  # a holder's last renewal, and when we saw it

    @property
    def holds(self) -> bool:
        """Tell whether we hold the Lease now."""
        return time.monotonic() < self._renewed + HOLDS_SECONDS

    def follow(self) -> Iterator[None]:
        """Try once to take or renew the Lease."""
        try:
            lease = self._api.ask("GET", self._path(LEASE), what="the lease")
        except NotFound:
            self._write("POST", self._path(), {"metadata": {"name": LEASE}}, transitions=0)
        else:
            self._take(lease)
        yield

    def release(self) -> None:
        """Give the Lease back, so that another needn't wait for it to expire."""
        if not self.holds:
            return
        self._renewed = float("-inf")
        try:
            lease = self._api.ask("GET", self._path(LEASE), what="the lease")
            if lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._api.ask("PUT", self._path(LEASE), what="the lease", body=lease)
        except (NotReachable, Conflicting):
            return  # it expires

    def _take(self, lease: Any) -> None:
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if holder and holder != self.identity:
            # Our own clock alone: that of the holder may be another.
            if self._seen[0] != (holder, renewed):
                self._seen = ((holder, renewed), time.monotonic())
            if time.monotonic() < self._seen[1] + spec.get("leaseDurationSeconds", 0):
                self._renewed = float("-inf")
                return
        transitions = spec.get("leaseTransitions", 0) + (holder != self.identity)
        self._write("PUT", self._path(LEASE), lease, transitions=transitions)

    def _write(self, method: str, path: str, lease: Any, *, transitions: int) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {
            **(lease.get("spec") or {}),
            "holderIdentity": self.identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        if not self.holds:
            spec["acquireTime"] = now
        asked = time.monotonic()
        try:
            self._api.ask(method, path, what="the lease", body={**lease, "spec": spec})
        except Conflicting:
            self._renewed = float("-inf")  # another was faster
        else:
            self._renewed = asked

    def _path(self, name: str = "") -> str:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"
        return f"{path}/{name}" if name else path
