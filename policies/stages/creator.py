"""
Who made an object: written at its CREATE, kept by updates, where a quota groups by user.

What is there must be countable anew, and an object doesn't say who made it. Objects that a
controller makes are traced to their topmost owner, so they need no mark, and what a template has
in its place is taken out: it would be another's bill. An owner reference alone is no proof of that,
since anybody may write one: whose account isn't a controller's is marked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies.intents import CREATOR
from policies.model import Decision, Request, Violation
from policies.patch import pointer
from policies.stages.context import Context
from policies.workloads import pods
from policies.workloads.controllers import CONTROLLERS

_ANNOTATIONS = ("metadata", "annotations")


def mark(context: Context, decision: Decision) -> Decision:
    """Write who made the object of a request; what else is written there is replaced."""
    obj = decision.object
    if not _is_marked(context) or not isinstance(obj, dict):
        return decision
    wanted = _wanted(context)
    annotations = obj["metadata"].get("annotations") or {}
    there = annotations.get(CREATOR)
    if there == wanted:
        return decision
    key = (*_ANNOTATIONS, CREATOR)
    if wanted is None:
        operation: dict[str, Any] = {"op": "remove", "path": pointer(key)}
        changed = {name: value for name, value in annotations.items() if name != CREATOR}
    else:
        changed = {**annotations, CREATOR: wanted}
        operation = {"op": "add", "path": pointer(key), "value": wanted}
        if not annotations:
            operation = {"op": "add", "path": pointer(_ANNOTATIONS), "value": changed}
    missed: tuple[Violation, ...] = ()
    if context.request.operation == "CREATE":
        message = f"{CREATOR} doesn't say who makes it: injection was missed, try again"
        missed = (Violation(policy="quota", message=message, path=pointer(key)),)
    return replace(
        decision,
        object={**obj, "metadata": {**obj["metadata"], "annotations": changed}},
        patch=[*decision.patch, operation],
        missed=(*decision.missed, *missed),
    )


def _is_marked(context: Context) -> bool:
    request = context.request
    return (
        context.kind is not None
        and request.operation in ("CREATE", "UPDATE")
        and not request.subresource
        and not (_is_made(context) and (_is_copied(context) or request.operation == "UPDATE"))
    )


def _is_made(context: Context) -> bool:
    """Tell whether a known controller asks, for what has an owner."""
    return _is_owned(context) and context.request.user.username in CONTROLLERS


def _is_copied(context: Context) -> bool:
    """Tell whether an object has its owner's annotations, mark and all, and not a template's."""
    return context.request.kind == "ReplicaSet"


def _is_owned(context: Context) -> bool:
    return bool(pods.controller(context.metadata)[0])


def _wanted(context: Context) -> str | None:
    request = context.request
    if request.operation == "CREATE":
        if _is_made(context) or (_is_owned(context) and _may_be_an_operator(request)):
            return None
        return request.user.username or None
    old: Any = request.old_object
    metadata = old.get("metadata") if isinstance(old, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    found = annotations.get(CREATOR) if isinstance(annotations, dict) else None
    return found if isinstance(found, str) else None


def _may_be_an_operator(request: Request) -> bool:
    """Tell whether a request comes of a service account of another namespace."""
    accounts = "system:serviceaccount:"
    username = request.user.username
    return username.startswith(accounts) and not username.startswith(
        f"{accounts}{request.namespace}:"
    )
