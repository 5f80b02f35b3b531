"""
Kubernetes objects as the plugin sees them: what they are called and what request they make.

`Job.batch/ml/train` is a reference: kind, group, namespace and name. An object without a
namespace is in the one that `-n` names; what is not namespaced has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubectl_ml.documents import Document
from kubectl_ml.errors import Unreadable
from policies.model import API_VERSION, DOMAIN, Manifest, Request, User

# Without a cluster nobody can say which custom kinds are namespaced; these are the known others.
_CLUSTER_SCOPED_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "certificates.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "node.k8s.io",
        "scheduling.k8s.io",
    }
)
_CLUSTER_SCOPED_KINDS = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourceSlice"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("kueue.x-k8s.io", "AdmissionCheck"),
        ("kueue.x-k8s.io", "ClusterQueue"),
        ("kueue.x-k8s.io", "Cohort"),
        ("kueue.x-k8s.io", "ResourceFlavor"),
        ("kueue.x-k8s.io", "Topology"),
        ("kueue.x-k8s.io", "WorkloadPriorityClass"),
        ("scheduling.volcano.sh", "Queue"),
        ("serving.kserve.io", "ClusterServingRuntime"),
        ("serving.kserve.io", "ClusterStorageContainer"),
        ("trainer.kubeflow.org", "ClusterTrainingRuntime"),
    }
)


_HINT = "every object is a mapping with apiVersion and kind"


def check(document: Document) -> None:
    """Raise unless the document holds a Kubernetes object, or a List of them."""
    _check(document.value, f"{document.where}: this document")


def _check(found: Any, what: str) -> None:
    if not isinstance(found, dict):
        instead = "a list" if isinstance(found, list) else f"the plain value {found!r}"
        raise Unreadable(f"{what} is no Kubernetes object but {instead}", hint=_HINT)
    for field in ("apiVersion", "kind"):
        if not isinstance(found.get(field), str) or not found[field]:
            raise Unreadable(
                f'{what} is no Kubernetes object: it has no "{field}"', hint=_hint(found)
            )
    for number, item in enumerate(_items(found) or ()):
        _check(_typed(item, found), f"{what}: item {number + 1}")


def _hint(found: Manifest) -> str:
    if "resources" in found and "spec" not in found:
        return "this looks like a kustomization: name its directory with -k"
    return _HINT


def replaced(value: Manifest, decide: Callable[[Manifest], Manifest | None]) -> Manifest | None:
    """
    Give `value` with what `decide` makes of it, or None where nothing changes.

    Of a List, each item goes to `decide`, and the List stays what it is.
    """
    items = _items(value)
    if items is None:
        return decide(value)
    decided = [replaced(_typed(item, value), decide) for item in items]
    if all(item is None for item in decided):
        return None
    return value | {
        "items": [item if new is None else new for item, new in zip(items, decided, strict=True)]
    }


def each(value: Manifest, pointer: str = "") -> Iterator[tuple[str, Manifest]]:
    """Give every object in a document, with the JSON Pointer to it: of a List, each item."""
    items = _items(value)
    if items is None:
        yield pointer, value
    for number, item in enumerate(items or ()):
        yield from each(_typed(item, value), f"{pointer}/items/{number}")


def _items(value: Manifest) -> list[Any] | None:
    """Give the items of a List; None for every other object."""
    items = value.get("items")
    return items if isinstance(items, list) and value["kind"].endswith("List") else None


def _typed(item: Any, whole: Manifest) -> Any:
    """Give an item its kind: in a PodList of the API's the items have none."""
    kind = whole["kind"].removesuffix("List")
    if not isinstance(item, dict) or "kind" in item or not kind:
        return item
    return {"apiVersion": whole["apiVersion"], "kind": kind} | item


def request(manifest: Manifest, *, namespace: str, user: User) -> Request:
    """Give the request that creates this object."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    return Request(
        operation="CREATE",
        group=group,
        version=version,
        kind=manifest["kind"],
        namespace=namespace_of(manifest, default=namespace),
        name=_text(manifest, "name"),
        object=manifest,
        user=user,
    )


def reference(manifest: Manifest, *, namespace: str) -> str:
    """
    Name the object as patches and diffs do.

    `Pod/default/web`, `Job.batch/ml/train-` (only a generateName), `Namespace/ml`.
    """
    group = manifest["apiVersion"].rpartition("/")[0]
    kind = f"{manifest['kind']}.{group}" if group else manifest["kind"]
    name = _text(manifest, "name") or _text(manifest, "generateName")
    inside = () if is_cluster_scoped(manifest) else (namespace_of(manifest, default=namespace),)
    return "/".join([kind, *inside, name])


def title(manifest: Manifest) -> str:
    """Name the object as sentences do: `Pod "web"`."""
    name = _text(manifest, "name") or _text(manifest, "generateName")
    return f'{manifest["kind"]} "{name}"' if name else f"{manifest['kind']} without a name"


def called(manifest: Manifest) -> str:
    """Name the object as the sentences of quotas do: `bert`, or what its name begins with."""
    return _text(manifest, "name") or _text(manifest, "generateName") or "it"


def namespace_of(manifest: Manifest, *, default: str) -> str:
    """Say which namespace the object is in; the API server takes a Namespace as in itself."""
    if is_cluster_scoped(manifest):
        return _text(manifest, "name") if manifest["kind"] == "Namespace" else ""
    return _text(manifest, "namespace") or default


def is_cluster_scoped(manifest: Manifest) -> bool:
    """Tell whether the object is known not to be in a namespace."""
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    group = api_version.rpartition("/")[0]
    if api_version == API_VERSION or group == DOMAIN:
        return not kind.startswith("Namespaced")
    return group in _CLUSTER_SCOPED_GROUPS or (group, kind) in _CLUSTER_SCOPED_KINDS


def _text(manifest: Manifest, field: str) -> str:
    metadata = manifest.get("metadata")
    found = metadata.get(field) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""
