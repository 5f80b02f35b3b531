"""
Install manifests as they are shipped, with the webhook's Service pointed at a local process.

A Service of type ExternalName `localhost` makes the API server dial `localhost:PORT`; it still
asks for a certificate of `NAME.NAMESPACE.svc`. Besides, only the port and the `caBundle` of the
webhook configurations are changed.
"""

import base64
import copy
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.controlplane import crds
from tests.e2e.controlplane.client import Manifest
from tests.e2e.controlplane.cluster import ControlPlane

_CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_FIRST = ("Namespace", "CustomResourceDefinition")


def read(control_plane: ControlPlane, source: Path | str) -> list[Manifest]:
    """Read a kustomization's folder, or YAML text."""
    text = source if isinstance(source, str) else control_plane.kubectl("kustomize", str(source))
    return [document for document in yaml.safe_load_all(text) if document]


def point_at(objects: Iterable[Manifest], *, port: int, ca: bytes) -> list[Manifest]:
    """Point every webhook and conversion, and the Services they name, at a local port."""
    changed = copy.deepcopy(list(objects))
    services = set()
    for config in [
        *(webhook["clientConfig"] for webhook in _webhooks(changed)),
        *_conversions(changed),
    ]:
        config["caBundle"] = base64.b64encode(ca).decode()
        config["service"]["port"] = port
        services.add((config["service"]["namespace"], config["service"]["name"]))
    for each in changed:
        metadata = each["metadata"]
        if each["kind"] == "Service" and (metadata.get("namespace"), metadata["name"]) in services:
            each["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    return changed


def _webhooks(objects: Iterable[Manifest]) -> list[Any]:
    return [
        webhook
        for each in objects
        if each["kind"] in _CONFIGURATIONS
        for webhook in each.get("webhooks", ())
        if "service" in webhook["clientConfig"]
    ]


def _conversions(objects: Iterable[Manifest]) -> list[Any]:
    """List where definitions have objects converted from one version to another."""
    return [
        each["spec"]["conversion"]["webhook"]["clientConfig"]
        for each in objects
        if each["kind"] == "CustomResourceDefinition"
        and each["spec"].get("conversion", {}).get("strategy") == "Webhook"
    ]


def install(
    control_plane: ControlPlane,
    source: Path | str,
    *,
    port: int,
    ca: bytes,
    leave_out: Collection[str] = (),
) -> list[Manifest]:
    """
    Apply what `source` has but the kinds to leave out, and return it as applied.

    Namespaces and definitions go first, webhook configurations last: from then on we are called.
    """
    objects = [
        each
        for each in point_at(read(control_plane, source), port=port, ca=ca)
        if each["kind"] not in leave_out
    ]
    first = [each for each in objects if each["kind"] in _FIRST]
    last = [each for each in objects if each["kind"] in _CONFIGURATIONS]
    between = [each for each in objects if each["kind"] not in (*_FIRST, *_CONFIGURATIONS)]
    for group in (first, between, last):
        _apply(control_plane, group)
    return objects


def _apply(control_plane: ControlPlane, objects: Sequence[Manifest]) -> None:
    if not objects:
        return
    control_plane.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"), stdin=_list(objects)
    )
    # Not `kubectl wait`, which takes a status whose conditions are null for an error.
    crds.wait(
        control_plane, [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    )


def uninstall(control_plane: ControlPlane, objects: Sequence[Manifest]) -> None:
    """Delete what was installed, the webhook configurations first."""
    backwards = sorted(objects, key=lambda each: each["kind"] not in _CONFIGURATIONS)
    control_plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=_list(backwards))


def _list(objects: Sequence[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
