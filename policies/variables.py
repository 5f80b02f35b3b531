"""The variables of expressions, as ValidatingAdmissionPolicy names them."""

from __future__ import annotations

from typing import Any

from policies.model import Facts, Manifest, Request


def of(request: Request, facts: Facts, obj: Any, old: Any) -> dict[str, Any]:
    """Give the values of variables for one object; `obj` may be a pod that a template makes."""
    return {
        "object": obj,
        "oldObject": old,
        "request": _request(request),
        "namespaceObject": _namespace(request.namespace, facts) if request.namespace else None,
        "params": None,
        "variables": {},
    }


def _namespace(name: str, facts: Facts) -> Manifest:
    return {"metadata": {"name": name, "labels": dict(facts.namespaces.get(name, {}))}}


def _request(request: Request) -> Manifest:
    kind = {"group": request.group, "version": request.version, "kind": request.kind}
    return {
        "operation": request.operation,
        "kind": kind,
        "requestKind": kind,
        "namespace": request.namespace,
        "name": request.name,
        "subResource": request.subresource,
        "userInfo": {"username": request.user.username, "groups": list(request.user.groups)},
        "dryRun": request.dry_run,
    }
