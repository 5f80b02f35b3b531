"""`kubectl ml classes`: the device classes that can be named, and what each becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from kubectl_ml import flags, policy_flags, tables, words
from kubectl_ml.policy_flags import Chosen
from policies.model import Accelerator, PolicySet


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("names", nargs=-1, metavar="[NAME]...", type=words.DeviceClass())
@policy_flags.options
@flags.where
@flags.listing
@flags.verbosity
def classes(
    *,
    names: tuple[str, ...],
    chosen: Chosen,
    output: str,
    no_headers: bool,
) -> None:
    """
    List the device classes that can be named, and what each becomes.

    A manifest names one in its annotation kubectl-ml.io/accelerator, with a count: a100:2.

    \b
    Examples:
      # What is there?
      kubectl ml classes
      # With what your cluster has
      kubectl ml classes --policies cluster
      # With what your cluster's repository adds
      kubectl ml classes --policies policies/ -o wide
      # A start for a class of your own
      kubectl ml classes a100 -o yaml
    """
    found = listing(chosen.read()).only(names)
    tables.show(found, output, named=bool(names), headers=not no_headers)


def listing(policies: PolicySet) -> tables.Listing:
    """Give a row for each device class."""
    return tables.Listing(
        noun="device class",
        plural="classes",
        headers=("NAME", "RESOURCE", "MEMORY", "NODES", "MAX/POD", "SHM"),
        wide_headers=(
            "NODE LABELS",
            "TOLERATIONS",
            "RUNTIME",
            "PER DEVICE",
            "WEIGHT",
            "COST/HOUR",
            "DESCRIPTION",
        ),
        rows={name: _row(each) for name, each in sorted(policies.accelerators.items())},
    )


def _row(found: Accelerator) -> tables.Row:
    resource = found.resource or f"deviceclass/{found.device_class_name}"
    return tables.Row(
        cells=(
            found.name,
            resource,
            found.memory,
            ",".join(_labels(found.node_selector, short=True)),
            str(found.max_per_pod or ""),
            found.shm,
        ),
        wide=(
            ",".join(_labels(found.node_selector)),
            ",".join(_toleration(each) for each in found.tolerations),
            found.runtime_class_name,
            ",".join(f"{key}={value}" for key, value in found.per_device.items()),
            f"{found.weight:g}",
            f"{found.cost_per_hour:g}" if found.cost_per_hour else "",
            found.description,
        ),
        manifest=tables.manifest("Accelerator", found.name, _spec(found)),
    )


def _labels(selector: Mapping[str, str | tuple[str, ...]], *, short: bool = False) -> Iterator[str]:
    """Write node labels as `kubectl -l` takes them; `short` shows one of several values."""
    for key, value in selector.items():
        if isinstance(value, str):
            yield f"{key}={value}"
        elif short and len(value) > 1:
            yield f"{key}={value[0]} (+{len(value) - 1})"
        else:
            yield f"{key} in ({','.join(value)})"


def _toleration(found: Mapping[str, Any]) -> str:
    value = f"={found['value']}" if found.get("value") else ""
    effect = f":{found['effect']}" if found.get("effect") else ""
    return f"{found.get('key', '*')}{value}{effect}"


def _spec(found: Accelerator) -> dict[str, Any]:
    return {
        "description": found.description,
        "resource": found.resource,
        "deviceClassName": found.device_class_name,
        "resourceClaimTemplateName": found.resource_claim_template_name,
        "extraResources": dict(found.extra_resources),
        "memory": found.memory,
        "nodeSelector": {
            key: value if isinstance(value, str) else list(value)
            for key, value in found.node_selector.items()
        },
        "tolerations": list(found.tolerations),
        "runtimeClassName": found.runtime_class_name,
        "env": list(found.env),
        "shm": found.shm,
        "perDevice": dict(found.per_device),
        "maxPerPod": found.max_per_pod or None,
        "weight": found.weight if found.weight != 1 else None,
        "costPerHour": found.cost_per_hour or None,
    }
