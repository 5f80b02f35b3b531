"""
Resources: the requests and limits that policies and device classes give by default.

    inject: {resources: {requests: {cpu: "2"}, limits: {memory: 8Gi}}}

No container comes out with a request above its limit, which the API server refuses: a default gives
way to what is there, and where the policy says `Override`, what is there gives way to the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import quantity
from policies.inject.pod import Author, Container, PodDraft
from policies.patch import Path


def give(pod: PodDraft, author: Author, container: Container, wanted: Mapping[str, Any]) -> None:
    """Set requests and limits that the user left open; LimitRanger's defaults give way."""
    for resource, amount in (wanted.get("requests") or {}).items():
        _request(pod, author, _Pair(pod, container, resource), amount)
    for resource, amount in (wanted.get("limits") or {}).items():
        _limit(pod, author, _Pair(pod, container, resource), amount)


class _Pair:
    """The request and the limit of one resource, and which of them are the user's."""

    def __init__(self, pod: PodDraft, container: Container, resource: str) -> None:
        self.at_request: Path = (*container.resources, "requests", resource)
        self.at_limit: Path = (*container.resources, "limits", resource)
        self.request, self.limit = pod.draft.get(self.at_request), pod.draft.get(self.at_limit)
        self.request_is_default, self.limit_is_default = (
            (container.name, kind, resource) in pod.defaulted for kind in ("requests", "limits")
        )


def _request(pod: PodDraft, author: Author, pair: _Pair, amount: Any) -> None:
    limit = None if pair.limit_is_default else pair.limit
    if author.on_conflict != "Override" and limit is not None:
        if pair.request is None:
            return  # a limit alone implies the request
        if pair.request_is_default and not quantity.at_least(limit, amount):
            pod.skip(author.name, pair.at_request, f"{amount} is more than the limit {limit}")
            return
    unset = pair.request if pair.request_is_default else None
    pod.put_quantity(author, pair.at_request, amount, unset=unset)
    request = pod.draft.get(pair.at_request)
    rises = pair.limit_is_default or author.on_conflict == "Override"
    if rises and pair.limit is not None and not quantity.at_least(pair.limit, request):
        unset = pair.limit if pair.limit_is_default else None
        pod.put(author, pair.at_limit, request, unset=unset)


def _limit(pod: PodDraft, author: Author, pair: _Pair, amount: Any) -> None:
    free = pair.limit is None or pair.limit_is_default
    lowers = author.on_conflict == "Override" or pair.request_is_default
    over = pair.request is not None and not quantity.at_least(amount, pair.request)
    if over and free and not lowers:
        if author.on_conflict == "Deny" and pod.claims.before(pod.pointer(pair.at_request)) is None:
            pod.put(author, pair.at_request, amount)  # which refuses the user's
            return
        why = f"{pair.request} and not {amount}, because that is requested"
        pod.skip(author.name, pair.at_limit, why)
        amount = pair.request
    unset = pair.limit if pair.limit_is_default else None
    pod.put_quantity(author, pair.at_limit, amount, unset=unset)
    if over and lowers and quantity.equal(pod.draft.get(pair.at_limit), amount):
        unset = pair.request if pair.request_is_default else None
        pod.put(author, pair.at_request, amount, unset=unset)
