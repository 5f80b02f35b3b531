"""
What admins write, as the values of `model`: one builder a kind.

The same thing may be written in several ways (`accelerator: a100:2`, `[{class: a100, count: 2}]`);
the builders know them all and give one. They expect what the schemas accept. What a schema can't
judge, such as the grammar of a mount, raises `UnusableIntent` with the sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from policies import foreign, intents
from policies.errors import UnusableIntent
from policies.model import (
    Accelerator,
    DataSource,
    Inject,
    InjectionPolicy,
    LabelSelector,
    Manifest,
    Match,
    NamespaceMatch,
    Sidecar,
    Subjects,
    WorkloadKind,
)

# The members of a DataSource that say what it is, each with the name of the library's default
# (the scheme of its URIs) and the member of it that a mount needs.
SOURCE_TYPES = {
    "pvc": ("pvc", "claimName"),
    "s3": ("s3", "bucket"),
    "gcs": ("gs", "bucket"),
    "hf": ("hf", "repo"),
    "oci": ("oci", "image"),
    "fluid": ("", "dataset"),
    "nfs": ("", "server"),
    "hostPath": ("", "path"),
    "csi": ("", "driver"),
    "scratch": ("scratch", ""),
    "memory": ("memory", ""),
    "configMap": ("configmap", "name"),
    "secret": ("secret", "name"),
}
_SYNONYMS = {
    "pvc": {"name": "claimName"},
    "oci": {"reference": "image"},
    "fluid": {"name": "dataset"},
    "secret": {"secretName": "name"},
}
_VARIABLES = {
    "s3": {"endpoint": "AWS_ENDPOINT_URL", "region": "AWS_DEFAULT_REGION"},
    "hf": {"endpoint": "HF_ENDPOINT"},
}


# What the API server writes where an object says nothing: the defaults of the schemas.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "InjectionPolicy": {"mode": "Apply", "optIn": False, "order": 0, "onConflict": "Keep"},
    "WorkloadKind": {"scope": "Namespaced", "queue": "object"},
}


def digest(kind: str, spec: Any) -> str:
    """Make the short hash that tells one content of an object from another."""
    defaults = DEFAULTS.get(kind, {})
    spec = {key: value for key, value in spec.items() if value != defaults.get(key, ...)}
    text = orjson.dumps({"kind": kind, "spec": spec}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:8]


def workload_kind(name: str, spec: Manifest) -> WorkloadKind:
    """Build a custom kind as an entry of the catalogue: what goes without saying is filled in."""
    kind = spec["kind"]
    roles = [dict(role) for role in spec["roles"]]
    if not any("compute" in role for role in roles):
        roles = [{**role, "compute": True} for role in roles]
    for role in roles:
        if "primaryContainer" in role:
            role["primary"] = role.pop("primaryContainer")
    entry = {
        "versions": ["v1"],
        "plural": f"{kind.lower()}s",
        **{key: value for key, value in spec.items() if key != "group"},
        "kind": f"{kind}.{spec['group']}" if spec["group"] else kind,
        "roles": roles,
    }
    return WorkloadKind(name=name, digest=digest("WorkloadKind", spec), entry=entry)


def accelerator(name: str, spec: Manifest) -> Accelerator:
    """Build a device class."""
    return Accelerator(
        name=name,
        digest=digest("Accelerator", spec),
        resource=spec.get("resource", ""),
        device_class_name=spec.get("deviceClassName", ""),
        memory=foreign.text(spec.get("memory")),
        node_selector={
            key: tuple(value) if isinstance(value, list) else value
            for key, value in _mapping(spec, "nodeSelector").items()
        },
        tolerations=_items(spec, "tolerations"),
        runtime_class_name=spec.get("runtimeClassName", ""),
        env=_items(spec, "env"),
        shm=foreign.text(spec.get("shm")),
        per_device=foreign.strings(_mapping(spec, "perDevice")),
        max_per_pod=spec.get("maxPerPod", 0),
        weight=float(spec.get("weight", 1)),
        cost_per_hour=float(spec.get("costPerHour", 0)),
        description=spec.get("description", ""),
    )


def data_source(name: str, spec: Manifest, *, namespace: str = "") -> DataSource:
    """Build a data source; with `namespace`, one that only that namespace may use."""
    kind = next(kind for kind in SOURCE_TYPES if kind in spec)
    found = parameters(kind, spec[kind])
    env = _items(spec, "env")
    return DataSource(
        name=f"{namespace}/{name}" if namespace else name,
        digest=digest("DataSource", spec),
        type=kind,
        parameters=found,
        fetch=spec.get("fetch", ""),
        read_only=spec.get("readOnly", found.get("readOnly")),
        secret_name=spec.get("secretName", ""),
        secret_optional=spec.get("secretOptional", False),
        env=(*_settings(kind, found, env), *env),
        namespaces=NamespaceMatch(names=(namespace,))
        if namespace
        else _namespaces(spec.get("namespaces")),
        cache=_mapping(spec, "cache"),
        image=spec.get("image", ""),
        resources=_mapping(spec, "resources"),
        description=spec.get("description", ""),
    )


def _settings(
    kind: str, parameters: Mapping[str, Any], env: tuple[Manifest, ...]
) -> list[Manifest]:
    """Say where a store is in the variables that its clients read, unless `env` does."""
    given = {variable["name"] for variable in env}
    return [
        {"name": name, "value": parameters[member]}
        for member, name in _VARIABLES.get(kind, {}).items()
        if member in parameters and name not in given
    ]


def parameters(kind: str, value: Any) -> dict[str, Any]:
    """Write out what a source says of itself: `pvc: data` is `{claimName: data}`."""
    if value is None:
        return {}
    if not isinstance(value, str):
        synonyms = _SYNONYMS.get(kind, {})
        return {synonyms.get(key, key): part for key, part in value.items()}
    _, main = SOURCE_TYPES[kind]
    if main != "bucket":
        return {main: value.removeprefix(f"{kind}://")}
    bucket, _, prefix = value.rpartition("://")[2].partition("/")
    return {"bucket": bucket, **({"prefix": prefix} if prefix else {})}


def injection_policy(name: str, spec: Manifest) -> InjectionPolicy:
    """Build a policy that adds."""
    return InjectionPolicy(
        name=name,
        digest=digest("InjectionPolicy", spec),
        match=_match(_mapping(spec, "match")),
        mode=spec.get("mode", "Apply"),
        opt_in=spec.get("optIn", False),
        order=spec.get("order", 0),
        on_conflict=spec.get("onConflict", "Keep"),
        inject=_inject(_mapping(spec, "inject")),
        description=spec.get("description", ""),
    )


# --- match ------------------------------------------------------------------------------------


def _match(spec: Manifest) -> Match:
    return Match(
        kinds=_items(spec, "kinds"),
        operations=_items(spec, "operations"),
        namespaces=_namespaces(spec.get("namespaces")),
        objects=_selector(spec.get("objects")),
        owners=_items(spec, "owners"),
        subjects=_subjects(spec.get("subjects")),
        intents=tuple(intent_key(key) for key in _items(spec, "intents")),
        exclude=_match(spec["exclude"]) if spec.get("exclude") is not None else None,
    )


def intent_key(key: str) -> str:
    """Read the key of an intent, which may be written with its prefix."""
    key = key.removeprefix(intents.PREFIX)
    if key not in intents.KEYS:
        raise UnusableIntent(f'there is no intent "{key}"{intents.nearest(key, intents.KEYS)}')
    return key


def _namespaces(spec: Any) -> NamespaceMatch | None:
    if spec is None:
        return None
    if isinstance(spec, list):
        return NamespaceMatch(names=tuple(spec))
    return NamespaceMatch(names=_items(spec, "names"), selector=_selector(spec.get("selector")))


def _selector(spec: Manifest | None) -> LabelSelector | None:
    if spec is None:
        return None
    return LabelSelector(
        match_labels=foreign.strings(_mapping(spec, "matchLabels")),
        match_expressions=_items(spec, "matchExpressions"),
    )


def _subjects(spec: Manifest | None) -> Subjects | None:
    if spec is None:
        return None
    return Subjects(
        users=_items(spec, "users"),
        groups=_items(spec, "groups"),
        service_accounts=tuple(service_account(text) for text in _items(spec, "serviceAccounts")),
    )


def service_account(text: str) -> str:
    """Read a service account, `namespace:name` in the end."""
    text = text.removeprefix("system:serviceaccount:").replace("/", ":")
    namespace, _, name = text.partition(":")
    if not namespace or not name or ":" in name:
        raise UnusableIntent(f'"{text}" does not name a service account; write "NAMESPACE:NAME"')
    return text


# --- inject -----------------------------------------------------------------------------------


def _inject(spec: Manifest) -> Inject:
    return Inject(
        accelerator=devices(spec.get("accelerator")),
        shm=foreign.text(spec.get("shm")),
        mounts=mounts(spec.get("mounts")),
        sidecars=tuple(_sidecar(item) for item in _items(spec, "sidecars")),
        init_containers=_items(spec, "initContainers"),
        env=_items(spec, "env"),
        env_from=_items(spec, "envFrom"),
        labels=foreign.strings(_mapping(spec, "labels")),
        annotations=foreign.strings(_mapping(spec, "annotations")),
        node_selector=foreign.strings(_mapping(spec, "nodeSelector")),
        tolerations=_items(spec, "tolerations"),
        affinity=spec.get("affinity"),
        topology_spread=_items(spec, "topologySpread"),
        scheduler_name=spec.get("schedulerName", ""),
        priority_class_name=spec.get("priorityClassName", ""),
        runtime_class_name=spec.get("runtimeClassName", ""),
        service_account_name=spec.get("serviceAccountName", ""),
        image_pull_secrets=_items(spec, "imagePullSecrets"),
        termination_grace_period_seconds=spec.get("terminationGracePeriodSeconds", 0),
        security_context=spec.get("securityContext"),
        resources=spec.get("resources"),
        dapr=foreign.dapr(spec.get("dapr")),
        knative=foreign.knative(spec.get("knative")),
        mesh=foreign.mesh(spec.get("mesh")),
        queue=spec.get("queue", ""),
        tracking=foreign.tracking(spec.get("tracking")),
        scrape=foreign.scrape(spec.get("scrape")),
    )


def devices(value: Any) -> str:
    """Read default devices; every way of writing them gives `a100:2,rdma:1`."""
    if not value:
        return ""
    items = [
        item if isinstance(item, str) else f"{item['class']}:{item.get('count', 1)}"
        for item in ([value] if isinstance(value, str) else value)
    ]
    found = foreign.read("accelerator", ",".join(items)).accelerator
    return ",".join(f"{device.device_class}:{device.count}" for device in found)


def mounts(value: Any) -> tuple[str, ...]:
    """Read mounts; every way of writing them gives items such as `imagenet:/data:ro`."""
    if not value:
        return ()
    items = [
        item if isinstance(item, str) else _mount(item)
        for item in ([value] if isinstance(value, str) else value)
    ]
    return tuple(
        ":".join([mount.written.replace(",", "%2C"), mount.path, *filter(None, [mount.mode])])
        for mount in foreign.read("mounts", ",".join(items)).mounts
    )


def _mount(item: Manifest) -> str:
    mode = item.get("mode", "")
    if not mode and "readOnly" in item:
        mode = "ro" if item["readOnly"] else "rw"
    return ":".join([item["source"].replace(",", "%2C"), item["path"], *filter(None, [mode])])


def _sidecar(item: Manifest) -> Sidecar:
    return Sidecar(
        container=item["container"],
        offered=item.get("offered", False),
        volumes=_items(item, "volumes"),
        volume_mounts=_items(item, "volumeMounts"),
    )


# --- values -----------------------------------------------------------------------------------


def _mapping(spec: Mapping[str, Any], key: str) -> Manifest:
    return spec.get(key) or {}


def _items(spec: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    return tuple(spec.get(key) or ())
