"""Devices of a driver for dynamic resource allocation: claimed by pods, allocated, and listed."""

from collections.abc import Iterator

import pytest

from tests.e2e import acting
from tests.e2e.acting import Place
from tests.e2e.controlplane import waiting
from tests.e2e.controlplane.client import Manifest
from tests.e2e.installed import Installed
from tests.e2e.test_policies import applied, own

RESOURCE = "resource.k8s.io/v1"
DRIVER = "gpu.example.com"
CLASS = {
    "apiVersion": RESOURCE,
    "kind": "DeviceClass",
    "metadata": {"name": "large.example.com"},
    "spec": {
        "selectors": [
            {"cel": {"expression": f"device.driver == '{DRIVER}'"}},
            {
                "cel": {
                    "expression": f"device.attributes['{DRIVER}'].model == 'H100' && "
                    f"device.capacity['{DRIVER}'].memory.compareTo(quantity('40Gi')) > 0"
                }
            },
        ]
    },
}


def device(name: str, model: str = "H100") -> Manifest:
    return {
        "name": name,
        "attributes": {"model": {"string": model}},
        "capacity": {"memory": {"value": "80Gi"}},
    }


SLICE = {
    "apiVersion": RESOURCE,
    "kind": "ResourceSlice",
    "metadata": {"name": "cpu-0.example.com"},
    "spec": {
        "driver": DRIVER,
        "nodeName": "cpu-0",
        "pool": {"name": "cpu-0", "generation": 1, "resourceSliceCount": 1},
        "devices": [*(device(f"gpu-{number}") for number in range(4)), device("other", "T4")],
    },
}


@pytest.fixture
def driver(installed: Installed) -> Iterator[None]:
    """Have what a driver publishes, and a class of ours for it."""
    ours = own("Accelerator", "h100-claimed", {"deviceClassName": "large.example.com"})
    with applied(installed, CLASS, SLICE, ours):
        yield


def listed(place: Place) -> list[list[str]]:
    """Give the lines of the class and of its node."""
    said = place.admin.kubectl("ml", "gpus", "-owide", "--no-headers", "--policies=cluster")
    return [line.split() for line in said.splitlines() if "h100-claimed" in line]


@pytest.mark.usefixtures("driver")
def test_a_pod_gets_what_it_claims_and_is_listed_with_it(enabled: Place) -> None:
    node = ["cpu-0", "h100-claimed", "deviceclass/large.example.com", "4"]
    assert listed(enabled) == [
        ["h100-claimed", "1", "4", "0", "4", "4", "4", "-"],
        [*node, "0", "4", "4", "4", "-", "-"],
    ]
    wanted = acting.pod("claims", accelerator="h100-claimed:3")
    rendered = enabled.admin.kubectl(
        *("ml", "render", "-f", "-", "--policies=cluster", "-n", enabled.name), stdin=wanted
    )
    assert "kind: ResourceClaimTemplate" in rendered

    enabled.admin.kubectl("apply", "-n", enabled.name, "-f", "-", stdin=rendered)

    waiting.until(
        lambda: (enabled.get("Pod", "claims").get("status") or {}).get("phase") == "Running",
        what="the scheduler to allocate what is claimed",
    )
    assert listed(enabled) == [
        ["h100-claimed", "1", "4", "3", "1", "1", "4", "-"],
        [*node, "3", "1", "1", "4", "-", f"{enabled.name}/claims", "3"],
    ]
