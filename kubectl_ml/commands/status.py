"""`kubectl ml status`: one run down to its pods, with the reason when something isn't ready."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from kubectl_ml import flags, reasons, runs, submit, tables, words
from kubectl_ml.backends.backend import Phase
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.reasons import Events
from kubectl_ml.runs import Run
from policies.model import Manifest

_GREEN, _YELLOW, _RED = 32, 33, 31
_COLORS = {
    Phase.SUCCEEDED.value: _GREEN,
    Phase.READY.value: _GREEN,
    Phase.RUNNING.value: _GREEN,
    Phase.FAILED.value: _RED,
    Phase.NOT_READY.value: _RED,
}


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("name", type=words.RunName())
@click.option(
    "-o",
    "--output",
    type=click.Choice(["tree", "json", "yaml"]),
    default="tree",
    show_default=True,
    help="What to print; json and yaml give the workload and its pods.",
)
@flags.of_backend
@flags.cluster
@flags.verbosity
def status(target: Target, *, name: str, output: str, backend: str) -> None:
    """
    Show a run down to its pods, and why something isn't ready.

    \b
    Examples:
      kubectl ml status bert
      # For scripts
      kubectl ml status bert -o json
    """
    cluster = submit.Session(target).cluster
    run = runs.one(cluster, name, flags.backends_of(backend))
    if output != "tree":
        items = [submit.clean(each) for each in (run.workload, *run.pods)]
        whole = {"apiVersion": "v1", "kind": "List", "items": items}
        click.echo(tables.structured(whole, output), nl=False)
        return
    events = Events(cluster, run)
    for line in tree(cluster, run, events, colored=flags.colors(sys.stdout)):
        click.echo(line)
    if events.note:
        submit.note(f"note: {events.note}")


def tree(cluster: Cluster, run: Run, events: Events, *, colored: bool) -> Iterator[str]:
    """
    Write a run as a tree.

        bert  job  Running  2/4 pods ready  a100:2 x4  3m12s
        ├── 0  bert-0-x7k2p  Running  gpu-a100-0
        └── 1  bert-1-9fjqd  Pending  Unschedulable: 0/3 nodes are available: …
    """
    phase = run.state.phase.value
    parts = [
        run.name,
        run.backend.name,
        _colored(phase, colored),
        run.progress,
        run.devices,
        runs.age(run.age_seconds),
    ]
    yield "  ".join(filter(None, parts))
    whys = reasons.distinct(reasons.of_run(cluster, run, events))
    branches = [f"why: {why}" for why in whys]
    branches += [_pod(pod, run, events, colored=colored) for pod in run.pods]
    for number, branch in enumerate(branches, 1):
        yield f"{'└──' if number == len(branches) else '├──'} {branch}"


def _pod(pod: Manifest, run: Run, events: Events, *, colored: bool) -> str:
    status = pod.get("status") or {}
    phase = status.get("phase", "Pending")
    if pod["metadata"].get("deletionTimestamp"):
        phase = "Terminating"
    parts = [
        str(runs.rank(pod, run.pods)),
        pod["metadata"]["name"],
        _colored(phase, colored),
        pod["spec"].get("nodeName", ""),
        reasons.of_pod(pod, events),
    ]
    return "  ".join(filter(None, parts))


def _colored(phase: str, colored: bool) -> str:
    return f"\x1b[{_COLORS.get(phase, _YELLOW)}m{phase}\x1b[0m" if colored else phase
