"""The variables of expressions, as ValidatingAdmissionPolicy names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.model import Facts, Manifest, Request

# k8s.io/apiserver pkg/admission/plugin/cel: CreateNamespaceObject
_METADATA = (
    "name", "generateName", "labels", "annotations", "uid", "creationTimestamp",
    "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "resourceVersion",
    "finalizers",
)  # fmt: skip


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


def namespace(obj: Mapping[str, Any]) -> Manifest:
    """Take of a Namespace what the API server lets expressions see."""
    metadata = obj.get("metadata") or {}
    seen: Manifest = {"metadata": {key: metadata[key] for key in _METADATA if key in metadata}}
    for member, key in (("spec", "finalizers"), ("status", "phase")):
        found = obj.get(member)
        if isinstance(found, dict) and key in found:
            seen[member] = {key: found[key]}
    return seen


def _namespace(name: str, facts: Facts) -> Manifest:
    labels = dict(facts.namespaces.get(name, {}))
    known = facts.namespace_objects.get(name, {})
    metadata = {**known.get("metadata", {}), "name": name, "labels": labels}
    return {**known, "metadata": metadata}


def _request(request: Request) -> Manifest:
    kind = {"group": request.group, "version": request.version, "kind": request.kind}
    resource = _resource(request)
    return {
        "operation": request.operation,
        "kind": kind,
        "requestKind": kind,
        "resource": resource,
        "requestResource": resource,
        "namespace": request.namespace,
        "name": request.name,
        "subResource": request.subresource,
        "userInfo": {"username": request.user.username, "groups": list(request.user.groups)},
        "dryRun": request.dry_run,
    }


def _resource(request: Request) -> Manifest:
    if not request.resource:  # a file's document
        return {"group": request.group, "version": request.version, "resource": _plural(request)}
    group, version, plural = request.resource.split("/", 2)
    return {"group": group, "version": version, "resource": plural}


def _plural(request: Request) -> str:
    """Give the name of a kind's resource as apimachinery's UnsafeGuessKindToResource does."""
    name = request.kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"
