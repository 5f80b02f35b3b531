"""Where facts and policies come from: files alone, or a cluster that is followed in threads."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from webhook import metrics
from webhook.apiserver import ApiServer
from webhook.cluster import ClusterFacts
from webhook.counting import Counting, counting
from webhook.facts import FactsSource, OfflineFacts
from webhook.following import Followed, Follower
from webhook.handlers import PolicySource, Quotas
from webhook.idle import Idle
from webhook.leader import RENEW_SECONDS, Leader
from webhook.policy_files import PolicyFiles
from webhook.policy_objects import ClusterPolicies
from webhook.policy_status import PolicyStatus
from webhook.recount import RECOUNT_SECONDS
from webhook.settings import FactsFrom, Settings

STATUS_SECONDS = 0.5  # between two looks at what is to be written


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where facts and policies come from, and what reserves; nothing does without a cluster."""

    facts: FactsSource
    policies: PolicySource
    quotas: Quotas | None = None


@contextlib.contextmanager
def of(
    settings: Settings,
    files: PolicyFiles,
    *,
    recorder: metrics.Metrics,
    log: FilteringBoundLogger,
) -> Iterator[Sources]:
    """Say where facts and policies come from, and follow the cluster where it is one of them."""
    if settings.facts_from is FactsFrom.OFFLINE:
        yield Sources(facts=OfflineFacts(), policies=files)
        return
    api = ApiServer(settings)
    facts = ClusterFacts(api, recorder=recorder, log=log)
    policies = ClusterPolicies(api=api, files=files, recorder=recorder, log=log)
    identity = f"{socket.gethostname()}-{os.getpid()}"
    leader = Leader(api, namespace=settings.namespace, identity=identity)
    idle = Idle(facts=facts, policies=policies)
    status = PolicyStatus(api=api, objects=policies, leader=leader, idle=idle.of)
    counted = counting(
        api,
        namespace=settings.namespace,
        policies=policies,
        facts=facts,
        leader=leader,
        recorder=recorder,
        log=log,
    )
    writers = _writers(leader, status, counted, recorder=recorder, log=log)
    followed: tuple[Followed, ...] = (facts, policies, counted.watch, *writers)
    for one in followed:
        one.start()
    try:
        yield Sources(facts=facts, policies=policies, quotas=counted.quotas)
    finally:
        for one in followed:
            one.stop()
        leader.release()
        counted.close()


def _writers(
    leader: Leader,
    status: PolicyStatus,
    counted: Counting,
    *,
    recorder: metrics.Metrics,
    log: FilteringBoundLogger,
) -> list[Follower]:
    """Make the threads of what is written, and of what is read for that."""
    return [
        Follower(
            name=name,
            follow=follow,
            meanwhile=lambda: "nothing is written",
            recorder=recorder,
            log=log,
            every_seconds=seconds,
        )
        for name, follow, seconds in (
            ("leader", leader.follow, RENEW_SECONDS),
            ("status", status.follow, STATUS_SECONDS),
            ("ledgers", counted.follow_ledgers, 0.0),
            ("quota", counted.recount.follow, RECOUNT_SECONDS),
        )
    ]
