"""
What the API server's refusals mean: one sentence and one hint for each.

The server answers with a `Status`; https://kubernetes.io/docs/reference/using-api/api-concepts/.
What a person can do about it depends on who said no: the rights, a quota, an admission webhook,
the schema, or that nothing of the kind is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kubectl_ml.errors import AlreadyExists, ClusterError, NotAllowed, NotFound, NotInstalled
from policies.model import DOMAIN

VIEW = "kubectl-ml-view"  # the ClusterRole that may read our objects

_CANNOT = re.compile(
    r'cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>\S+), requested: (?P<asked>\S+), used: (?P<used>\S+), "
    r"limited: (?P<limit>\S+)"
)
_WEBHOOK = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request: (?P<why>.*)', re.S)
READ_LOGS = "read the logs of"
_READING = frozenset({"get", "list", "watch", READ_LOGS})
_SEE = re.compile(r"\n?see: .+$")  # the last line of our webhook's refusals
WHAT_CAN_BE_NAMED = "`kubectl ml classes` and `kubectl ml sources` list what can be named"
WHO_SAYS_SO = (
    "policies of the cluster's admins say so: `kubectl ml policy list` shows them, "
    "`kubectl ml quota` who holds what"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked: `create` of a `Job` of `batch/v1`, say."""

    verb: str
    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""

    @property
    def what(self) -> str:
        """Name the object as sentences do: `Job "bert"`."""
        return f'{self.kind} "{self.name}"' if self.name else f"{self.kind}s"


def error_of(status: int, body: bytes, asked: Asked) -> ClusterError:
    """Say what the API server's answer means for what was asked."""
    said = _status(body)
    message = str(said.get("message") or body.decode(errors="replace").strip())
    match status:
        case 401:
            return NotAllowed(
                "the cluster doesn't know you: your credentials are missing, wrong or expired",
                hint="log in again; kubectl auth whoami says who you are",
                status=status,
            )
        case 403:
            return _forbidden(message, asked)
        case 404:
            return _not_found(said, asked)
        case 409 if said.get("reason") == "AlreadyExists":
            return AlreadyExists(
                f'{asked.what} already exists in namespace "{asked.namespace}"',
                hint="--replace deletes it and starts anew; or choose another name",
                status=status,
            )
        case _:
            return _other(status, message, asked)


def hint_of(codes: Collection[int]) -> str:
    """Tell what helps where our engine refused with these codes: of intents (422), of policies."""
    return WHAT_CAN_BE_NAMED if 422 in codes else WHO_SAYS_SO


def _status(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _forbidden(message: str, asked: Asked) -> ClusterError:
    if found := _CANNOT.search(message):
        resource = ".".join(filter(None, [found["resource"], found["group"]]))
        namespace = found["namespace"]
        place = f'in namespace "{namespace}"' if namespace else "in the whole cluster"
        flag = f" -n {namespace}" if namespace else " -A"
        role = "a Role" if namespace else "a ClusterRole"
        if found["group"] == DOMAIN and found["verb"] in _READING and not namespace:
            role = f"the ClusterRole {VIEW}, bound in the whole cluster"
        return NotAllowed(
            f"you lack the right to {found['verb']} {resource} {place}",
            hint=f"an admin can give it with {role}; check with: "
            f"kubectl auth can-i {found['verb']} {resource}{flag}",
            status=403,
        )
    if found := _QUOTA.search(message):
        return ClusterError(
            f'{asked.what} exceeds quota "{found["quota"]}": {_used(found)}',
            hint=f"ask for less, or free some: kubectl describe quota {found['quota']} "
            f"-n {asked.namespace}",
            status=403,
        )
    if asked.verb in _READING:
        return NotAllowed(
            f"you lack the right to {asked.verb} {asked.what}: {' '.join(message.split())}",
            hint="ask an admin for it",
            status=403,
        )
    return _denied(message, asked, status=403)


def _used(found: re.Match[str]) -> str:
    """Write `count/jobs.batch=1` and the like: `it asks for 1 count/jobs.batch, 1 of 1 is used`."""
    used, limits = (_amounts(found[key]) for key in ("used", "limit"))
    return "; ".join(
        f"it asks for {asked} {key}, {used.get(key, '0')} of {limits.get(key, '0')} is used"
        for key, asked in _amounts(found["asked"]).items()
    )


def _amounts(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (each.partition("=") for each in text.split(","))}


def _denied(message: str, asked: Asked, *, status: int) -> ClusterError:
    """Say what an admission webhook or a built-in check has refused, in its own words."""
    found = _WEBHOOK.search(message)
    why = found["why"].strip() if found else message
    hint = "change what it names and try again"
    if see := _SEE.search(why):
        why, hint = why[: see.start()], hint_of([status])
    if found and not see:
        hint = f'the admission webhook "{found["name"]}" said so; its owners know more'
    why = "; ".join(line.strip() for line in why.split("\n") if line.strip())
    return ClusterError(f"{asked.what} was refused: {why}", hint=hint, status=status)


def _not_found(said: dict[str, Any], asked: Asked) -> ClusterError:
    details = said.get("details") or {}
    if asked.kind != "Namespace" and details.get("kind") == "namespaces":
        return NotFound(
            f'namespace "{details.get("name", asked.namespace)}" doesn\'t exist',
            hint=f"name another with -n, or: kubectl create namespace {asked.namespace}",
            status=404,
        )
    if asked.verb == READ_LOGS:
        return NotFound(
            f"{asked.what} has no log (any more)",
            hint="was it deleted, or its node? "
            f"kubectl ml list -n {asked.namespace} shows what is there",
            status=404,
        )
    if details.get("name"):
        return NotFound(
            f'{asked.what} was not found in namespace "{asked.namespace}"',
            hint=f"kubectl ml list -n {asked.namespace} shows what is there; "
            "-n names another namespace",
            status=404,
        )
    return not_installed(asked.api_version, asked.kind)


def not_installed(api_version: str, kind: str) -> NotInstalled:
    """Say that the server doesn't know a kind."""
    group = api_version.rpartition("/")[0] or "the core group"
    return NotInstalled(
        f"this cluster doesn't know {kind} ({api_version}): "
        f"the system that brings {group} isn't installed",
        hint="choose another --backend, or ask an admin to install it",
        status=404,
    )


def _other(status: int, message: str, asked: Asked) -> ClusterError:
    if _WEBHOOK.search(message) or status in (400, 409, 422):
        return _denied(message, asked, status=status)
    line = " ".join(message.split())
    if status == 429:
        return ClusterError(
            "the API server has too much to do and sent us away",
            hint="try again in a minute",
            status=status,
        )
    return ClusterError(
        f"the API server failed with {status}: {line[:500]}",
        hint="try again; if it stays, ask those who run the cluster",
        status=status,
    )
