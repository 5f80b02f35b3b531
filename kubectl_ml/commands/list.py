"""`kubectl ml list`: what train and serve made, over every backend."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

import click

from kubectl_ml import flags, runs, submit, tables
from kubectl_ml.cluster import Target
from kubectl_ml.runs import Run

HEADERS = ("NAME", "BACKEND", "DEVICES", "STATE", "PODS", "AGE")
WIDE_HEADERS = ("QUEUE", "EXPERIMENT", "NODES", "IMAGE")


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@flags.all_namespaces
@flags.listing
@flags.cluster
@flags.verbosity
def list(target: Target, *, all_namespaces: bool, output: str, no_headers: bool) -> int:
    """
    List what train and serve made.

    \b
    Examples:
      # In this namespace
      kubectl ml list
      # In all of them, with images, nodes and queues
      kubectl ml list -A -o wide
      # The objects themselves
      kubectl ml list -o json
    """
    cluster = submit.Session(target).cluster
    denied: builtins.list[str] = []
    found = runs.find(cluster, everywhere=all_namespaces, denied=denied)
    if output in ("json", "yaml"):
        items = [submit.clean(run.workload) for run in found]
        whole = {"apiVersion": "v1", "kind": "List", "items": items}
        click.echo(tables.structured(whole, output), nl=False)
    elif output == "name":
        for run in found:
            click.echo(submit.reference(run.workload))
    elif not found and not denied:
        where = "any namespace" if all_namespaces else f'namespace "{cluster.namespace}"'
        click.echo(f"Nothing that kubectl ml made was found in {where}.", err=True)
    elif found:
        click.echo(
            table(found, wide=output == "wide", namespaces=all_namespaces, headers=not no_headers)
        )
    return int(bool(denied) and not found)


def table(found: Sequence[Run], *, wide: bool, namespaces: bool, headers: bool) -> str:
    """Write a line for each run."""
    titles = (
        *(("NAMESPACE",) if namespaces else ()),
        *HEADERS,
        *(WIDE_HEADERS if wide else ()),
    )
    rows = [
        (
            *((run.namespace,) if namespaces else ()),
            *_cells(run),
            *(_wide_cells(run) if wide else ()),
        )
        for run in found
    ]
    return tables.table(titles, rows, headers)


def _cells(run: Run) -> tuple[str, ...]:
    return (
        run.name,
        run.backend.name,
        run.devices,
        run.state.phase.value,
        f"{run.ready}/{run.wanted}",
        runs.age(run.age_seconds),
    )


def _wide_cells(run: Run) -> tuple[str, ...]:
    annotations = run.workload["metadata"].get("annotations") or {}
    nodes = {pod["spec"].get("nodeName", "") for pod in run.pods} - {""}
    images = {following_image for pod in run.pods for following_image in _images(pod)}
    return (
        annotations.get("kubectl-ml.io/queue", ""),
        annotations.get("kubectl-ml.io/experiment", ""),
        ",".join(sorted(nodes)),
        ",".join(sorted(images)),
    )


def _images(pod: dict[str, object]) -> tuple[str, ...]:
    from kubectl_ml.following import main_container

    name = main_container(pod)
    spec = pod["spec"]
    assert isinstance(spec, dict)  # noqa: S101 -- the API server's pods have one
    return tuple(each["image"] for each in spec["containers"] if each["name"] == name)
