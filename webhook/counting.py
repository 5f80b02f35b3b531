"""Puts together what quotas need: the table of what is used, the ledgers, the leader's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from webhook.apiserver import ApiServer
from webhook.cluster import ClusterFacts
from webhook.following import Collection
from webhook.leader import Leader
from webhook.ledger import LABEL, Access
from webhook.metrics import Metrics
from webhook.policy_objects import ClusterPolicies
from webhook.quota import Quotas
from webhook.recount import Recount
from webhook.reserving import Ledgers
from webhook.usage import Usage
from webhook.watching_usage import UsageWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """The parts, for one process; `follow_ledgers` is repeated in a thread, as `recount.follow`."""

    quotas: Quotas
    watch: UsageWatch
    recount: Recount
    ledgers: Ledgers
    follow_ledgers: Callable[[], Iterator[None]]

    def close(self) -> None:
        """End what has no thread of its own to stop."""
        self.ledgers.close()


def counting(
    api: ApiServer,
    *,
    namespace: str,
    policies: ClusterPolicies,
    facts: ClusterFacts,
    leader: Leader,
    recorder: Metrics,
    log: FilteringBoundLogger,
) -> Counting:
    """Put the parts together; called in the event loop."""
    watch = UsageWatch(
        api, usage=Usage(), policies=policies, facts=facts, recorder=recorder, log=log
    )
    access = Access(api=api, namespace=namespace, counter=watch, recorder=recorder, log=log)
    ledgers = Ledgers(access)
    recount = Recount(
        api,
        ledgers=ledgers,
        watch=watch,
        policies=policies,
        leader=leader,
        recorder=recorder,
        log=log,
        loop=asyncio.get_running_loop(),
    )
    collection = Collection(
        source=api.config_maps(namespace, f"{LABEL}=true"),
        listed=recount.listed,
        changed=recount.changed,
    )
    return Counting(
        quotas=Quotas(watch=watch, ledgers=ledgers, recorder=recorder, log=log),
        watch=watch,
        recount=recount,
        ledgers=ledgers,
        follow_ledgers=collection.follow,
    )
