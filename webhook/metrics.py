"""
What the server counts, in the format that Prometheus reads.

With several workers each writes to files in PROMETHEUS_MULTIPROC_DIR, and one page adds them up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

TYPE = CONTENT_TYPE_LATEST  # of the page

# Label values come from requests: what is no kind's name, or one too many, is counted as "other".
MAX_KINDS = 200
MAX_POLICIES = 1000  # whose verdicts are told apart; names of policies come and go
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}\Z")

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Counts reviews, and looks up each counter once: `labels()` costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reviews = Counter(
            "kubectl_ml_reviews",
            "Admission reviews answered.",
            ("endpoint", "kind", "operation", "outcome"),
            registry=registry,
        )
        self._duration = Histogram(
            "kubectl_ml_review_duration_seconds",
            "From the request's headers to its answer.",
            ("endpoint",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._injections = Counter(
            "kubectl_ml_injections",
            "Objects that a policy changed.",
            ("policy",),
            registry=registry,
        )
        self._count_policies(registry)
        self._cut_clients = Counter(
            "kubectl_ml_slow_clients", "Connections cut for being too slow.", registry=registry
        )
        self._api_server_failures = Counter(
            "kubectl_ml_api_server_failures",
            "Questions that the API server didn't answer.",
            registry=registry,
        )
        self._count_quotas(registry)
        self._kinds: set[str] = set()
        self._policy_names: set[str] = set()
        self._review_children: dict[tuple[str, str, str, str], Counter] = {}
        self._duration_children: dict[str, Histogram] = {}
        self._injection_children: dict[str, Counter] = {}

    def _count_policies(self, registry: CollectorRegistry) -> None:
        self._policies = Gauge(
            "kubectl_ml_policies",
            "Policies in force.",
            ("kind",),
            registry=registry,
            multiprocess_mode="max",
        )
        self._policies_unusable = Gauge(
            "kubectl_ml_policies_unusable",
            "Policies of the cluster that are left out because they can't be used.",
            registry=registry,
            multiprocess_mode="max",
        )
        self._verdicts = Counter(
            "kubectl_ml_guard_verdicts",
            "Reviews at /validate in which a guard found something.",
            ("policy", "verdict"),
            registry=registry,
        )
        self._expired = Counter(
            "kubectl_ml_exceptions_expired",
            "Reviews at /validate that an exception would have let pass, were its time not over.",
            ("exception",),
            registry=registry,
        )
        self._policy_reloads = Counter(
            "kubectl_ml_policy_reloads", "Policy files read again.", ("outcome",), registry=registry
        )
        self._certificate_reloads = Counter(
            "kubectl_ml_certificate_reloads",
            "Certificates read again.",
            ("outcome",),
            registry=registry,
        )

    def _count_quotas(self, registry: CollectorRegistry) -> None:
        self._reservations = Counter(
            "kubectl_ml_quota_reservations",
            "Requests that a quota was asked about.",
            ("policy", "outcome"),
            registry=registry,
        )
        self._ledger_corrections = Counter(
            "kubectl_ml_quota_ledger_corrections",
            "Ledgers that were lost or edited, and counted anew.",
            registry=registry,
        )

    def review(
        self, endpoint: str, *, kind: str, operation: str, outcome: str, seconds: float
    ) -> None:
        """Count one answer; `kind` and `operation` are empty where the call was no review."""
        key = (endpoint, kind, operation, outcome)
        child = self._review_children.get(key)
        if child is None:
            bounded = (endpoint, self._bounded(kind), operation or "none", outcome)
            child = self._reviews.labels(*bounded)
            if bounded[1] == kind:  # so that what is "other" doesn't fill the table
                self._review_children[key] = child
        child.inc()
        duration = self._duration_children.get(endpoint)
        if duration is None:
            duration = self._duration_children[endpoint] = self._duration.labels(endpoint)
        duration.observe(seconds)

    def injected(self, policies: Iterable[str]) -> None:
        """Count an object that these policies changed."""
        for policy in policies:
            child = self._injection_children.get(policy)
            if child is None:
                child = self._injection_children[policy] = self._injections.labels(policy)
            child.inc()

    def judged(self, verdicts: Iterable[tuple[str, str]], expired: Iterable[str]) -> None:
        """Count what guards found, and exceptions whose time is over."""
        for policy, verdict in verdicts:
            self._verdicts.labels(self._bounded_policy(policy), verdict).inc()
        for exception in expired:
            self._expired.labels(self._bounded_policy(exception)).inc()

    def _bounded_policy(self, name: str) -> str:
        if name not in self._policy_names:
            if len(self._policy_names) >= MAX_POLICIES:
                return "other"
            self._policy_names.add(name)
        return name

    def policies_loaded(self, counts: Iterable[tuple[str, int]]) -> None:
        """Say how many policies of each kind are in force."""
        for kind, count in counts:
            self._policies.labels(kind).set(count)

    def policies_unusable(self, count: int) -> None:
        """Say how many of the cluster's policies are left out."""
        self._policies_unusable.set(count)

    def policies_read(self, *, good: bool) -> None:
        """Count a reload of policy files."""
        self._policy_reloads.labels("good" if good else "bad").inc()

    def certificate_read(self, *, good: bool) -> None:
        """Count a reload of the certificate."""
        self._certificate_reloads.labels("good" if good else "bad").inc()

    def client_cut(self) -> None:
        """Count a client that was too slow."""
        self._cut_clients.inc()

    def api_server_failed(self) -> None:
        """Count a question that the API server didn't answer."""
        self._api_server_failures.inc()

    def reserved(self, policy: str, outcome: str) -> None:
        """Count what became of a reservation: reserved, refused, or busy."""
        self._reservations.labels(policy, outcome).inc()

    def ledger_corrected(self) -> None:
        """Count a ledger that was lost or edited."""
        self._ledger_corrections.inc()

    def _bounded(self, kind: str) -> str:
        if not kind:
            return "none"
        if kind not in self._kinds:
            if len(self._kinds) >= MAX_KINDS or not _KIND.match(kind):
                return "other"
            self._kinds.add(kind)
        return kind


def registry() -> CollectorRegistry:
    """Make a registry that holds what is known of the process itself."""
    made = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=made)
    return made


def aggregate(directory: str) -> CollectorRegistry:
    """Make a registry that adds up what several workers wrote to `directory`."""
    made = CollectorRegistry()
    multiprocess.MultiProcessCollector(made, path=directory)  # type: ignore[no-untyped-call]
    ProcessCollector(registry=made)
    return made


def page(source: CollectorRegistry) -> bytes:
    """Write the page that Prometheus reads."""
    return generate_latest(source)
