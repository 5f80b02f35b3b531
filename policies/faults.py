"""
What is wrong with one object that an admin wrote: field paths and sentences.

The schemas judge the shape; here their findings become sentences that name the offending value and
the fix, and what a schema can't say is judged beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from policies import (
    conditions,
    core_faults,
    foreign,
    guard_faults,
    guarding,
    kinds,
    matches,
    objects,
    pod_fields,
    quantity,
    references,
    restricted,
    sentences,
    source_faults,
    twice,
)
from policies.errors import UnusableIntent
from policies.workloads import paths, written_counts

if TYPE_CHECKING:  # jsonschema takes longer to import than a whole `render`
    from jsonschema import Draft202012Validator

Found: TypeAlias = tuple[sentences.Path, str]  # where in the document, and a sentence

SCHEMAS = {
    "Accelerator": "accelerator.json",
    "DataSource": "datasource.json",
    "NamespacedDataSource": "datasource.json",
    "InjectionPolicy": "injectionpolicy.json",
    "WorkloadKind": "workloadkind.json",
    "GuardPolicy": "guardpolicy.json",
    "PolicyException": "policyexception.json",
    "QuotaPolicy": "quotapolicy.json",
}
_NATIVE = "kubernetes.io"  # pkg/apis/core/v1/helper: no extended resource has this domain
_DIRECTORY = Path(__file__).parent / "schemas"


def of(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the field paths and sentences of every fault of `document`, whose kind is known."""
    # What the API server adds to an object that was applied isn't the admin's.
    document = {key: value for key, value in document.items() if key != "status"}
    kind, spec = document["kind"], document.get("spec")
    found: list[Found] = []
    for error in validator(kind).iter_errors(document):
        finding = sentences.Finding(
            path=tuple(error.absolute_path),
            keyword=str(error.validator),
            wanted=error.validator_value,
            value=error.instance,
            schema=error.schema if isinstance(error.schema, dict) else {},
        )
        found += sentences.of(finding)
    if isinstance(spec, dict):
        misshapen = [path for path, _ in found]
        for path, message in (*_JUDGES[kind](document, spec), *_exceeding(spec), *_of_core(spec)):
            path = ("spec", *path)
            if not any(other[: len(path)] == path for other in misshapen):
                found.append((path, message))
    return list(dict.fromkeys((sentences.dotted(path), message) for path, message in found))


@cache
def validator(kind: str) -> Draft202012Validator:
    """Make the validator of one kind."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    core: Resource[Any] = Resource.from_contents(schema("core.json"))
    registry = Registry().with_resource(core.id() or "", core)
    return Draft202012Validator(schema(SCHEMAS[kind]), registry=registry)


def schema(file: str) -> Any:
    """Read one of the schemas."""
    return json.loads((_DIRECTORY / file).read_bytes())


# --- what a schema can't say ------------------------------------------------------------------


def _accelerator(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    yield from twice.of(spec)
    if "resourceClaimTemplateName" in spec and "deviceClassName" not in spec:
        message = "only a class with a deviceClassName has claims; take it out"
        yield ("resourceClaimTemplateName",), message
    resource = spec.get("resource")
    if isinstance(resource, str) and resource.partition("/")[0].endswith(_NATIVE):
        message = (
            f'"{resource}" is of Kubernetes\' own domain, in which the API server knows no '
            "devices; write what the device plugin registers"
        )
        yield ("resource",), message
    extra = spec.get("extraResources")
    if isinstance(extra, dict) and spec.get("resource") in extra:
        message = "is the resource of the class, whose amount is the count; take it out"
        yield ("extraResources", spec["resource"]), message


def _injection_policy(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    match, inject = spec.get("match"), spec.get("inject")
    if isinstance(match, dict):
        for path, message in _match(match):
            yield ("match", *path), message
    if isinstance(inject, dict):
        for path, message in _inject(inject):
            yield ("inject", *path), message


def _match(
    match: Mapping[str, Any], read_kind: Callable[[str], None] = kinds.read
) -> Iterator[Found]:
    subjects = match.get("subjects")
    accounts = subjects.get("serviceAccounts") if isinstance(subjects, dict) else None
    yield from _each(match.get("kinds"), ("kinds",), read_kind)
    yield from _each(match.get("owners"), ("owners",), kinds.read)
    yield from _each(match.get("intents"), ("intents",), matches.intent_key)
    yield from _each(accounts, ("subjects", "serviceAccounts"), matches.service_account)
    yield from _conditions(match.get("conditions"))
    if isinstance(match.get("exclude"), dict):
        for path, message in _match(match["exclude"], read_kind):
            yield ("exclude", *path), message


def _conditions(listed: Any) -> Iterator[Found]:
    """Find conditions that can't be compiled, or speak of what a match has not."""
    many = isinstance(listed, list)
    for number, one in enumerate(listed if isinstance(listed, list) else [listed]):
        text = one.get("expression") if isinstance(one, dict) else one
        path = ("conditions", *((number,) if many else ()))
        if isinstance(text, str) and text:
            path = (*path, "expression") if isinstance(one, dict) else path
            yield from ((path, message) for message in conditions.of_match(text))


def _each(items: Any, path: tuple[str, ...], read: Callable[[str], object]) -> Iterator[Found]:
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, str) and item:
            yield from _tried((*path, number), read, item)


def _inject(inject: Mapping[str, Any]) -> Iterator[Found]:
    for field, read in (
        ("accelerator", objects.devices),
        ("mounts", objects.mounts),
        ("dapr", foreign.dapr),
        ("knative", foreign.knative),
        ("mesh", foreign.mesh),
        ("scrape", foreign.scrape),
    ):
        yield from _tried((field,), read, inject.get(field))
    yield from twice.of_inject(inject)
    yield from references.of_inject(inject)
    yield from _exceeding(inject)
    yield from _of_core(inject)
    for path, container in _containers(inject):
        for inner, message in core_faults.container(container):
            yield (*path, *inner), message
        for inner, message in _exceeding(container):
            yield (*path, *inner), message
        for inner, message in (*restricted.faults(container), *_lasting(path[0], container)):
            yield (*path, *inner), message


def _of_core(holder: Mapping[str, Any]) -> Iterator[Found]:
    """Find what the API server refuses in the tolerations and variables of a spec."""
    for path, message in core_faults.tolerations(holder.get("tolerations")):
        yield ("tolerations", *path), message
    for path, message in core_faults.variables(holder.get("env")):
        yield ("env", *path), message
    if isinstance(holder.get("tracking"), dict):
        for path, message in _of_core(holder["tracking"]):
            yield ("tracking", *path), message


def _exceeding(holder: Any) -> Iterator[Found]:
    """Find limits below the requests beside them, which the API server refuses."""
    resources = holder.get("resources") if isinstance(holder, dict) else None
    limits, requests = (
        resources.get(kind) if isinstance(resources, dict) else None
        for kind in ("limits", "requests")
    )
    if not isinstance(limits, dict) or not isinstance(requests, dict):
        return
    for resource, limit in limits.items():
        request = requests.get(resource, limit)
        if quantity.at_least(request, limit) and not quantity.equal(request, limit):
            message = f"{limit} is less than the request, {request}; raise it or lower the request"
            yield ("resources", "limits", resource), message


def _lasting(member: str | int, container: Any) -> Iterator[Found]:
    """Find what the API server refuses in containers that end, and in those that don't."""
    if not isinstance(container, dict):
        return
    policy = container.get("restartPolicy")
    if policy not in (None, "Always"):
        yield (
            ("restartPolicy",),
            f'"{policy}" is refused: only a native sidecar has one; write "Always" or take it out',
        )
    if member == "initContainers" and policy is None:
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if field in container:
                yield (
                    (field,),
                    "an init container that ends has none; take it out, or write restartPolicy: "
                    "Always beside it",
                )


def _containers(inject: Mapping[str, Any]) -> Iterator[tuple[sentences.Path, Any]]:
    sidecars, init = inject.get("sidecars"), inject.get("initContainers")
    for number, item in enumerate(sidecars if isinstance(sidecars, list) else ()):
        if isinstance(item, dict):
            yield ("sidecars", number, "container"), item.get("container")
    for number, item in enumerate(init if isinstance(init, list) else ()):
        yield ("initContainers", number), item


def _tried(path: sentences.Path, read: Callable[[Any], object], value: Any) -> Iterator[Found]:
    try:
        read(value)
    except UnusableIntent as error:
        yield path, str(error)
    except (KeyError, TypeError, AttributeError):
        return  # the schema has said what is wrong with its shape


def _workload_kind(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    if isinstance(spec.get("suspend"), dict):
        yield from _suspend(spec["suspend"])
    for field in ("suspend", "managedBy"):
        yield from _tried((field,), paths.checked, spec.get(field) or "spec")
    for field in ("suspend", "earlyWhere", "rejectsUnless"):
        if isinstance(spec.get(field), dict):
            written = spec[field].get("path") or "spec"
            yield from _tried((field, "path"), paths.checked, written)
    yield from _each(spec.get("accepts"), ("accepts",), pod_fields.read_whole)
    yield from _each(spec.get("rejects"), ("rejects",), pod_fields.read)
    roles = spec.get("roles")
    for number, role in enumerate(roles if isinstance(roles, list) else ()):
        if isinstance(role, dict):
            for path, message in _role(role):
                yield ("roles", number, *path), message


def _suspend(suspend: Mapping[str, Any]) -> Iterator[Found]:
    for key in suspend:
        if key not in ("path", "annotation", "equals"):
            yield ("suspend", key), f'unknown field "{key}"; known are path, annotation, equals'
    if ("path" in suspend) == ("annotation" in suspend):
        yield ("suspend",), "write one of path and annotation"
    for key in ("path", "annotation"):
        if not isinstance(suspend.get(key, ""), str):
            yield ("suspend", key), f"{suspend[key]} is not a string; write one"


_SURGE = re.compile(r"\d{1,9}%?")


def _role(role: Mapping[str, Any]) -> Iterator[Found]:
    if ("template" in role) == ("podSpec" in role):
        yield (), "write one of template (the path of a PodTemplateSpec) and podSpec (of a PodSpec)"
    if "metadata" in role and "template" in role:
        yield ("metadata",), "a template has its own; take it out"
    for field in ("template", "podSpec", "metadata"):
        yield from _tried((field,), paths.checked, role.get(field) or "spec")
    yield from _each(role.get("rejects"), ("rejects",), pod_fields.read)
    surge = role.get("surge")
    if isinstance(surge, dict) and isinstance(surge.get("path"), str):
        written = surge["path"].lstrip("@").removeprefix(".")
        yield from _tried(("surge", "path"), paths.checked, written)
        if not _SURGE.fullmatch(str(surge.get("default", 0))):
            yield ("surge", "default"), f"{surge['default']} is no number and no percentage"
    for field in ("replicas", "minReplicas", "maxReplicas"):
        yield from _tried((field,), written_counts.counted, role.get(field, 1))


def _guard_policy(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    if isinstance(spec.get("match"), dict):
        for path, message in _match(spec["match"], kinds.read_any):
            yield ("match", *path), message
    yield from guard_faults.of(spec)


def _policy_exception(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    if isinstance(spec.get("match"), dict):
        for path, message in _match(spec["match"], kinds.read_any):
            yield ("match", *path), message
    if isinstance(spec.get("expires"), str):
        yield from _tried(("expires",), guarding.moment, spec["expires"])


def _quota_policy(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Found]:
    from policies.quota import reading  # here, because a terminal hardly ever has quotas

    if isinstance(spec.get("match"), dict):
        for path, message in _match(spec["match"]):
            yield ("match", *path), message
    yield from reading.faults(spec)


_JUDGES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[Found]]] = {
    "Accelerator": _accelerator,
    "DataSource": source_faults.of,
    "NamespacedDataSource": source_faults.of_namespaced,
    "InjectionPolicy": _injection_policy,
    "WorkloadKind": _workload_kind,
    "GuardPolicy": _guard_policy,
    "PolicyException": _policy_exception,
    "QuotaPolicy": _quota_policy,
}
