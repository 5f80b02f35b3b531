"""`kubectl ml wait`: until a training is done or a server is ready."""

from __future__ import annotations

import click

from kubectl_ml import flags, following, runs, submit, words
from kubectl_ml.cluster import Target


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("name", type=words.RunName())
@click.option(
    "--timeout",
    type=flags.Duration(zero=True),
    metavar="DURATION",
    help="How long to wait: 90s, 2h.  [default: for ever]",
)
@flags.of_backend
@flags.cluster
@flags.verbosity
def wait(target: Target, *, name: str, timeout: float | None, backend: str) -> None:
    """
    Wait until a training is done or a server is ready.

    Ends with 0 when it is, with 1 when it failed, with 3 when the time is over.

    \b
    Examples:
      # Evaluate once the training is done
      kubectl ml wait bert && python evaluate.py
      # At most ten minutes
      kubectl ml wait iris --timeout 10m
    """
    cluster = submit.Session(target).cluster
    run = runs.one(cluster, name, flags.backends_of(backend))
    run = following.waited_for(cluster, run, timeout_seconds=timeout)
    click.echo(f"{submit.reference(run.workload)} {run.state.phase.value.lower()}")
