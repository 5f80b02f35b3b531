"""`kubectl ml delete`: what train and serve made, and what belongs to it."""

from __future__ import annotations

import click

from kubectl_ml import flags, runs, submit, words
from kubectl_ml.backends.backend import NAME_LABEL
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.errors import NotAllowed, NotFound, PluginError
from kubectl_ml.runs import Run
from policies.model import Manifest

_CLAIM = ("v1", "PersistentVolumeClaim")


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=words.RunName())
@click.option("--volumes", is_flag=True, help="Delete the claims of --volume, too, with the data.")
@click.option("--no-wait", is_flag=True, help="Don't wait until all is gone.")
@click.option(
    "--timeout",
    type=flags.Duration(),
    default="5m",
    show_default=True,
    metavar="DURATION",
    help="How long to wait.",
)
@flags.of_backend
@flags.cluster
@flags.verbosity
def delete(
    target: Target,
    *,
    names: tuple[str, ...],
    volumes: bool,
    no_wait: bool,
    timeout: float,
    backend: str,
) -> None:
    """
    Delete what train and serve made, with its pods and Services.

    The claims that --volume made stay, and a run of the same name uses them again.

    \b
    Examples:
      kubectl ml delete bert
      # Two of them, without waiting
      kubectl ml delete bert iris --no-wait
      # With what it wrote
      kubectl ml delete bert --volumes
    """
    cluster = submit.Session(target).cluster
    # All are found before the first is deleted, so that a wrong name deletes nothing.
    found = _found(cluster, names, backend)
    for run in found:
        cluster.delete(run.workload)
        if not no_wait:
            cluster.wait_until_gone(run.workload, timeout_seconds=timeout)
        click.echo(f"{submit.reference(run.workload)} deleted")
        _see_to_claims(cluster, run, volumes=volumes)


def _found(cluster: Cluster, names: tuple[str, ...], backend: str) -> list[Run]:
    among = flags.backends_of(backend)
    try:
        return [runs.one(cluster, name, among) for name in names]
    except PluginError as error:
        if len(names) > 1:
            error.hint = f"nothing was deleted; {error.hint}"
        raise


def _see_to_claims(cluster: Cluster, run: Run, *, volumes: bool) -> None:
    claims = _claims(cluster, run)
    for claim in claims if volumes else ():
        try:
            cluster.delete(claim)
        except NotFound:
            continue
        click.echo(f"{submit.reference(claim)} deleted")
    if claims and not volumes:
        names = [claim["metadata"]["name"] for claim in claims]
        submit.note(
            f"its volumes stay: {', '.join(names)}; to delete them, too: "
            f"kubectl delete pvc {' '.join(names)}{cluster.flags}"
        )


def _claims(cluster: Cluster, run: Run) -> list[Manifest]:
    labels = f"{NAME_LABEL}={run.name}"
    try:
        return cluster.find_all(*_CLAIM, namespace=run.namespace, labels=labels)
    except NotAllowed:
        return []
