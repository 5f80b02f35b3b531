"""`kubectl ml logs`: what the pods write, of all ranks."""

from __future__ import annotations

import sys

import click

from kubectl_ml import flags, following, runs, submit, words
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.errors import PluginError
from kubectl_ml.runs import Run


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("name", type=words.RunName())
@click.option("-f", "--follow", is_flag=True, help="Go on printing until it is over.")
@click.option("--rank", type=click.IntRange(0), metavar="N", help="Only this rank, unprefixed.")
@click.option(
    "--tail", type=click.IntRange(0), metavar="LINES", help="Only so many last lines of each."
)
@click.option("-c", "--container", default="", metavar="NAME", help="Another container: a sidecar.")
@flags.of_backend
@flags.cluster
@flags.verbosity
def logs(
    target: Target,
    *,
    name: str,
    follow: bool,
    rank: int | None,
    tail: int | None,
    container: str,
    backend: str,
) -> int:
    """
    Print what the pods write, each line with the number of its rank.

    \b
    Examples:
      # What have all of them written?
      kubectl ml logs bert
      # Watch the first until the run is over
      kubectl ml logs -f bert --rank 0
      # The last lines of each
      kubectl ml logs bert --tail 20
    """
    cluster = submit.Session(target).cluster
    run = runs.one(cluster, name, flags.backends_of(backend))
    if follow and runs.is_active(run):
        run = following.follow(cluster, run, rank=rank, container=container, tail=tail)
        submit.note(following.ended(run))
    else:
        _print(cluster, run, rank=rank, container=container, tail=tail)
    return int(follow and run.state.failed)


def _print(
    cluster: Cluster, run: Run, *, rank: int | None, container: str, tail: int | None
) -> None:
    newest = runs.latest(run.pods)
    if rank is not None and rank not in newest:
        ranks = ", ".join(map(str, newest)) or "none yet"
        raise PluginError(
            f"{run.title} has no pod of rank {rank}; there are: {ranks}",
            hint=f"kubectl ml status {run.name}{cluster.flags} shows its pods",
        )
    chosen = newest if rank is None else {rank: newest[rank]}
    printer = following.Printer(
        prefixed=rank is None, colored=flags.colors(sys.stdout), line=following.progress()
    )
    waiting = []
    for number, pod in chosen.items():
        if not following.has_started(pod, container):
            waiting.append(number)
            continue
        lines = cluster.logs(
            pod["metadata"]["name"],
            namespace=run.namespace,
            container=container or following.main_container(pod),
            tail=tail,
        )
        printer.all_of(lines, number)
    if waiting or not chosen:
        ranks = ", ".join(map(str, waiting)) or "all"
        submit.note(
            f"note: not started yet: {ranks}; kubectl ml status {run.name}{cluster.flags} says why"
        )
