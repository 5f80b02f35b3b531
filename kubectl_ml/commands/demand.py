"""`kubectl ml demand`: how many pods, devices, cpu and memory manifests ask for."""

from __future__ import annotations

import sys
from typing import Any

import click

from kubectl_ml import flags, named, submit, tables
from kubectl_ml.cluster import Target
from kubectl_ml.demanding import Demands, Row, total
from kubectl_ml.progress import Progress
from policies.workloads import requests
from policies.workloads.shares import RoleDemand, Share

HEADERS = ("KIND", "NAME", "ROLE", "PODS", "DEVICES", "CPU", "MEMORY")
EVERY = 100  # documents between two looks at the progress bar
_UNBOUNDED = "unbounded"


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME…) [flags]")
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    type=flags.ManifestPath(),
    metavar="FILENAME",
    help="File, directory, URL or - (standard input) with manifests; can be repeated.",
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories below, too.")
@flags.policies
@click.option("--no-headers", is_flag=True, help="Leave the headers out.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json", "yaml"]),
    default="table",
    show_default=True,
    help="What to print; wide adds the namespace and every other resource.",
)
@flags.cluster
@flags.verbosity
@click.pass_context
def demand(
    ctx: click.Context,
    /,
    target: Target,
    *,
    names: tuple[str, ...],
    filenames: tuple[str, ...],
    recursive: bool,
    policies_: tuple[str, ...],
    no_library: bool,
    no_headers: bool,
    output: str,
) -> None:
    """
    Count the pods, devices, cpu and memory that manifests ask for.

    Steady is what runs without load, peak the most that autoscaling and rolling updates make of
    it. Devices that an intent asks for count as the devices they become. No cluster is needed for
    files; KIND/NAME asks the one of the kubeconfig.

    \b
    Examples:
      # What does this directory need?
      kubectl ml demand -R -f manifests/
      # For scripts
      kubectl ml demand -f train.yaml -o json
      # What runs in the cluster
      kubectl ml demand deployment/web rayjob/tune
    """
    named.check_usage(ctx, names, filenames, "counted")
    demands = Demands(
        policies=flags.read_policies(policies_, library=not no_library),
        facts=flags.read_facts(policies_),
        namespace=target.namespace or "default",
    )
    if names:
        _from_cluster(demands, names, target)
    else:
        _from_files(demands, filenames, recursive=recursive)
    rows = demands.finish()
    demands.report()
    if output in ("json", "yaml"):
        click.echo(tables.structured(structured(rows), output), nl=False)
    elif rows:
        click.echo(table(rows, wide=output == "wide", headers=not no_headers))
    elif not demands.unusable:
        click.echo("Nothing here makes pods.", err=True)
    demands.check()


# --- reading -----------------------------------------------------------------------------------


def _from_files(demands: Demands, filenames: tuple[str, ...], *, recursive: bool) -> None:
    progress = Progress(sys.stderr, live=sys.stderr.isatty())
    count = 0
    try:
        for document in named.in_files(filenames, recursive=recursive):
            demands.add(document)
            count += 1
            if count % EVERY == 0 and sys.stderr.isatty():
                progress.say(f"{count} documents, {len(demands.rows)} that make pods")
    finally:
        progress.clear()


def _from_cluster(demands: Demands, names: tuple[str, ...], target: Target) -> None:
    cluster = submit.Session(target).cluster
    demands.namespace = cluster.namespace
    for text in names:
        demands.count(named.in_cluster(cluster, demands.known, text))


# --- printing ----------------------------------------------------------------------------------


def structured(rows: list[Row]) -> dict[str, Any]:
    """Give what `-o json` prints."""
    steady, peak = total(rows)
    return {
        "items": [
            {
                "apiVersion": row.api_version,
                "kind": row.kind,
                **({"namespace": row.namespace} if row.namespace else {}),
                "name": row.name,
                "steady": _share(row.demand.steady),
                "peak": _share(row.demand.peak),
                "roles": [
                    {"name": role.name, "steady": _share(role.steady), "peak": _share(role.peak)}
                    for role in row.demand.roles
                ],
            }
            for row in rows
        ],
        "total": {"steady": _share(steady), "peak": _share(peak)},
    }


def _share(share: Share) -> dict[str, Any]:
    pods = _UNBOUNDED if share.pods is None else share.pods
    return {"pods": pods, "requests": share.quantities()}


def table(rows: list[Row], *, wide: bool, headers: bool) -> str:
    """Write a line for each role; `4 → 8` is steady and peak where they differ."""
    lines = [_cells(row, role, wide=wide) for row in rows for role in _roles(row)]
    steady, peak = total(rows)
    classes = {
        key: name for row in rows for role in row.demand.roles for key, name in role.classes.items()
    }
    mixed = _mixed(rows)
    lines.append(
        [
            *(("",) if wide else ()),
            "TOTAL",
            "",
            "",
            *_figures(steady, peak, {} if mixed else classes, wide=wide),
        ]
    )
    titles = [
        *(("NAMESPACE",) if wide else ()),
        *HEADERS,
        *(("OTHER",) if wide else ()),
    ]
    return tables.table(titles, [[cell or "-" for cell in line] for line in lines], headers)


def _mixed(rows: list[Row]) -> bool:
    """Tell whether one resource is asked for by several classes."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for role in row.demand.roles:
            for name in role.request.amounts.values:
                if requests.is_device(name):
                    seen.setdefault(name, set()).add(role.classes.get(name, name))
    return any(len(names) > 1 for names in seen.values())


def _roles(row: Row) -> list[RoleDemand | None]:
    return list(row.demand.roles) or [None]


def _cells(row: Row, role: RoleDemand | None, *, wide: bool) -> list[str]:
    steady = role.steady if role else row.demand.steady
    peak = role.peak if role else row.demand.peak
    return [
        *((row.namespace,) if wide else ()),
        row.kind,
        row.name,
        role.name if role else "",
        *_figures(steady, peak, role.classes if role else {}, wide=wide),
    ]


def _figures(steady: Share, peak: Share, classes: Any, *, wide: bool) -> list[str]:
    now, then = steady.quantities(), peak.quantities()
    names = list(dict.fromkeys([*now, *then]))
    devices = [name for name in names if requests.is_device(name)]
    others = [name for name in names if name not in ("cpu", "memory") and name not in devices]
    return [
        _both(_pods(steady), _pods(peak)),
        _both(_listed(now, devices, classes), _listed(then, devices, classes)),
        _both(now.get("cpu", "0"), then.get("cpu", "0")),
        _both(now.get("memory", "0"), then.get("memory", "0")),
        *((_both(_listed(now, others, {}), _listed(then, others, {})),) if wide else ()),
    ]


def _pods(share: Share) -> str:
    return _UNBOUNDED if share.pods is None else str(share.pods)


def _listed(found: dict[str, str], names: list[str], classes: Any) -> str:
    return ",".join(f"{classes.get(name, name)}:{found.get(name, '0')}" for name in names)


def _both(steady: str, peak: str) -> str:
    return steady if steady == peak else f"{steady} → {peak}"
