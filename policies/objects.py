"""
What admins write, as the values of `model`: one builder a kind.

The same thing may be written in several ways (`accelerator: a100:2`, `[{class: a100, count: 2}]`);
the builders know them all and give one. They expect what the schemas accept. What a schema can't
judge, such as the grammar of a mount, raises `UnusableIntent` with the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import digests, foreign, intents, matches, members
from policies.errors import UnusableIntent
from policies.model import (
    Accelerator,
    DataSource,
    Inject,
    InjectionPolicy,
    Manifest,
    NamespaceMatch,
    Sidecar,
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
    "scratch": ("scratch", "size"),
    "memory": ("memory", "size"),
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
    return WorkloadKind(name=name, digest=digests.digest("WorkloadKind", spec), entry=entry)


def accelerator(name: str, spec: Manifest) -> Accelerator:
    """Build a device class."""
    return Accelerator(
        name=name,
        digest=digests.digest("Accelerator", spec),
        resource=spec.get("resource", ""),
        device_class_name=spec.get("deviceClassName", ""),
        resource_claim_template_name=spec.get("resourceClaimTemplateName", ""),
        extra_resources=members.strings(members.mapping(spec, "extraResources")),
        memory=members.text(spec.get("memory")),
        node_selector={
            key: tuple(value) if isinstance(value, list) else value
            for key, value in members.mapping(spec, "nodeSelector").items()
        },
        tolerations=members.items(spec, "tolerations"),
        runtime_class_name=spec.get("runtimeClassName", ""),
        env=members.items(spec, "env"),
        shm=members.text(spec.get("shm")),
        per_device=members.strings(members.mapping(spec, "perDevice")),
        max_per_pod=spec.get("maxPerPod", 0),
        weight=float(spec.get("weight", 1)),
        cost_per_hour=float(spec.get("costPerHour", 0)),
        description=spec.get("description", ""),
    )


def data_source(name: str, spec: Manifest, *, namespace: str = "") -> DataSource:
    """Build a data source; with `namespace`, one that only that namespace may use."""
    kind = next(kind for kind in SOURCE_TYPES if kind in spec)
    found = parameters(kind, spec[kind])
    env = members.items(spec, "env")
    return DataSource(
        name=f"{namespace}/{name}" if namespace else name,
        digest=digests.digest("DataSource", spec),
        type=kind,
        parameters=found,
        fetch=spec.get("fetch", ""),
        read_only=spec.get("readOnly", found.get("readOnly")),
        secret_name=spec.get("secretName", ""),
        secret_optional=spec.get("secretOptional", False),
        env=(*_settings(kind, found, env), *env),
        namespaces=NamespaceMatch(names=(namespace,))
        if namespace
        else matches.namespaces(spec.get("namespaces")),
        cache=members.mapping(spec, "cache"),
        revision=spec.get("revision", ""),
        image=spec.get("image", ""),
        command=tuple(spec.get("command", ())),
        resources=members.mapping(spec, "resources"),
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
        digest=digests.digest("InjectionPolicy", spec),
        match=matches.match(members.mapping(spec, "match")),
        mode=spec.get("mode", "Apply"),
        opt_in=spec.get("optIn", False),
        order=spec.get("order", 0),
        on_conflict=spec.get("onConflict", "Keep"),
        inject=_inject(members.mapping(spec, "inject")),
        description=spec.get("description", ""),
    )


# --- match ------------------------------------------------------------------------------------


# --- inject -----------------------------------------------------------------------------------


def _inject(spec: Manifest) -> Inject:
    return Inject(
        accelerator=devices(spec.get("accelerator")),
        shm=members.text(spec.get("shm")),
        mounts=mounts(spec.get("mounts")),
        sidecars=tuple(_sidecar(item) for item in members.items(spec, "sidecars")),
        init_containers=members.items(spec, "initContainers"),
        env=members.items(spec, "env"),
        env_from=members.items(spec, "envFrom"),
        labels=members.strings(members.mapping(spec, "labels")),
        annotations=members.strings(members.mapping(spec, "annotations")),
        node_selector=members.strings(members.mapping(spec, "nodeSelector")),
        tolerations=members.items(spec, "tolerations"),
        affinity=spec.get("affinity"),
        topology_spread=members.items(spec, "topologySpread"),
        scheduler_name=spec.get("schedulerName", ""),
        priority_class_name=spec.get("priorityClassName", ""),
        runtime_class_name=spec.get("runtimeClassName", ""),
        service_account_name=spec.get("serviceAccountName", ""),
        image_pull_secrets=members.items(spec, "imagePullSecrets"),
        termination_grace_period_seconds=spec.get("terminationGracePeriodSeconds", 0),
        security_context=spec.get("securityContext"),
        resources=spec.get("resources"),
        dapr=foreign.dapr(spec.get("dapr")),
        knative=foreign.knative(spec.get("knative")),
        mesh=foreign.mesh(spec.get("mesh")),
        **_queue(spec.get("queue", "")),
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


def _queue(value: str | Manifest) -> Manifest:
    if isinstance(value, str):
        return {"queue": value}
    return {
        "queue": value.get("name", ""),
        "queue_priority": value.get("priorityClass", ""),
    }


def _sidecar(item: Manifest) -> Sidecar:
    return Sidecar(
        container=item["container"],
        offered=item.get("offered", False),
        volumes=members.items(item, "volumes"),
        volume_mounts=members.items(item, "volumeMounts"),
    )


def _read(key: str, text: str) -> intents.Intents:
    """Read `text` as an intent is read, so that both have one grammar."""
    found = intents.read({intents.PREFIX + key: text})
    for fault in found.faults:
        raise UnusableIntent(fault.message.removeprefix(intents.PREFIX + key + " "))
    return found


# --- values -----------------------------------------------------------------------------------
