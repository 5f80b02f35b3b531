"""`kubectl ml gpus`: the devices of a cluster, by class and by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kubectl_ml import devices, flags, policy_flags, submit, tables
from kubectl_ml.cluster import Target
from kubectl_ml.devices import ANY_NODE, NodeDevices
from kubectl_ml.policy_flags import Chosen
from policies.model import Accelerator

CLASS_HEADERS = (
    *("CLASS", "NODES", "CAPACITY", "ALLOCATED", "FREE", "REQUESTABLE", "AT-MOST"),
    "COST/HOUR",
)
NODE_HEADERS = (
    *("NODE", "CLASSES", "RESOURCE", "CAPACITY", "ALLOCATED", "FREE", "REQUESTABLE", "AT-MOST"),
)
UNKNOWN = "?"


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@policy_flags.options
@flags.no_headers
@flags.form(
    *("table", "wide", "json", "yaml", "name"), also="; wide adds taints and who holds what"
)
@flags.cluster
@flags.verbosity
def gpus(target: Target, *, chosen: Chosen, no_headers: bool, form: str) -> None:
    """
    List the cluster's devices by class and by node: what is free, and who holds them.

    REQUESTABLE is the largest request of one pod that a node can take now, AT-MOST the largest
    that one could take if it were empty, for a pod that tolerates its taints. A node that fits
    several classes counts in each. Classes are the library's and those of --policies;
    `--policies cluster` knows the cluster's own.

    \b
    Examples:
      # Can a pod with eight devices be scheduled?
      kubectl ml gpus
      # Who holds them?
      kubectl ml gpus -o wide
    """
    cluster = submit.Session(target).cluster
    accelerators = chosen.read().accelerators
    notes: list[str] = []
    found = devices.find(cluster, accelerators, notes)
    classes = sorted({name for one in found for name in one.classes})
    by_class = [_class(accelerators[name], found) for name in classes]
    if form in ("json", "yaml"):
        whole = {"classes": by_class, "nodes": [_node(one) for one in found]}
        click.echo(tables.structured(whole, form), nl=False)
    elif form == "name":
        for name in dict.fromkeys(one.node for one in found if one.node != ANY_NODE):
            click.echo(f"node/{name}")
    elif not found:
        click.echo("No node has devices.", err=True)
    else:
        _print(by_class, found, wide=form == "wide", headers=not no_headers)
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _class(accelerator: Accelerator, found: Sequence[NodeDevices]) -> dict[str, Any]:
    nodes = [one for one in found if accelerator.name in one.classes]
    known = all(one.pods is not None for one in nodes)
    item: dict[str, Any] = {
        "class": accelerator.name,
        "nodes": len(nodes),
        "capacity": sum(one.capacity for one in nodes),
        "allocated": sum(one.allocated or 0 for one in nodes) if known else None,
        "free": sum(one.free or 0 for one in nodes) if known else None,
        "requestable": max(one.requestable or 0 for one in nodes) if known else None,
        "atMost": max(one.at_most for one in nodes),
    }
    if accelerator.cost_per_hour:
        item["costPerHour"] = round(accelerator.cost_per_hour * item["capacity"], 2)
    return item


def _node(one: NodeDevices) -> dict[str, Any]:
    return {
        "node": one.node,
        "classes": list(one.classes),
        "resource": one.resource,
        "capacity": one.capacity,
        "allocated": one.allocated,
        "free": one.free,
        "requestable": one.requestable,
        "atMost": one.at_most,
        "schedulable": one.schedulable,
        "taints": list(one.taints),
        "holders": [
            {"namespace": pod.namespace, "name": pod.name, "count": pod.count}
            for pod in one.pods or ()
        ],
    }


def _print(
    by_class: Sequence[dict[str, Any]], found: Sequence[NodeDevices], *, wide: bool, headers: bool
) -> None:
    if by_class:
        members = ("class", "nodes", "capacity", "allocated", "free", "requestable", "atMost")
        rows = [
            [*(_cell(one[member]) for member in members), _cell(one.get("costPerHour", "-"))]
            for one in by_class
        ]
        click.echo(tables.table(CLASS_HEADERS, rows, headers))
        click.echo()
    titles = (*NODE_HEADERS, *(("TAINTS", "HOLDERS") if wide else ()))
    rows = [_cells(one, wide=wide) for one in found]
    click.echo(tables.table(titles, rows, headers))


def _cells(one: NodeDevices, *, wide: bool) -> list[str]:
    cells = [one.node, ",".join(one.classes) or "-", one.resource]
    figures = (one.capacity, one.allocated, one.free, one.requestable, one.at_most)
    cells += [_cell(figure) for figure in figures]
    if wide:
        held = [f"{pod.namespace}/{pod.name} {pod.count}" for pod in one.pods or ()]
        cells += [",".join(one.taints) or "-", ", ".join(held) or "-"]
    return cells


def _cell(value: Any) -> str:
    return UNKNOWN if value is None else str(value)
