"""
Load CustomResourceDefinitions of real projects.

They lie in `../shared/crds`, beside the checkout. Load what a test needs: with all of them the API
server takes 2.8 GB.
"""

import json
from collections.abc import Sequence

from tests.e2e.controlplane import errors, processes
from tests.e2e.controlplane.client import Manifest
from tests.e2e.controlplane.cluster import ControlPlane

DIRECTORY = processes.CHECKOUT.parent / "shared" / "crds"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CONFLICT = 409


def load(control_plane: ControlPlane, *names: str) -> None:
    """Load these, `pytorchjobs.kubeflow.org`, and wait until they are served."""
    manifests = [_read(name) for name in names]
    for manifest in manifests:
        try:
            control_plane.admin.create(_DEFINITIONS, manifest)
        except errors.RequestError as error:
            if error.status != _CONFLICT:  # an earlier test loaded it
                raise
    wait(control_plane, manifests)


def wait(control_plane: ControlPlane, definitions: Sequence[Manifest]) -> None:
    """Wait until definitions that were applied are served."""
    for definition in definitions:
        name = definition["metadata"]["name"]
        control_plane.wait_for(f"{_DEFINITIONS}/{name}", _is_established)


def _read(name: str) -> Manifest:
    path = DIRECTORY / f"{name}.json"
    if not path.exists():
        raise errors.NotAvailableError(f"needs {name}.json in ../shared/crds beside the checkout")
    manifest: Manifest = json.loads(path.read_text())
    return manifest


def _is_established(definition: Manifest) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()  # null at first
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
