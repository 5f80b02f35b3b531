"""`kubectl ml demand`: how many pods, devices, cpu and memory manifests ask for."""

from __future__ import annotations

import sys

import click

from kubectl_ml import (
    demand_output,
    flags,
    manifest_flags,
    named,
    policy_flags,
    reading,
    submit,
)
from kubectl_ml.cluster import Target
from kubectl_ml.demanding import Demands
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.reading import Unread


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME…) [flags]")
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@manifest_flags.options
@policy_flags.options
@flags.no_headers
@flags.form(
    "table", "wide", "json", "yaml", also="; wide adds the namespace and every other resource"
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
    files: Files,
    chosen: Chosen,
    no_headers: bool,
    form: str,
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
    named.check_usage(ctx, names, files, "counted")
    demands = Demands(
        policies=chosen.read(),
        facts=chosen.facts(),
        namespace=target.namespace or "default",
    )
    ctx.call_on_close(demands.close)
    if names:
        _from_cluster(demands, names, target)
    unread = _from_files(demands, files)
    unread.warn("counted")
    demands.report()
    _print(demands, unread, form, headers=not no_headers)
    unread.complain(
        also=tuple(demands.unusable),
        hint="these weren't counted; all others were",
        unread="these weren't counted, nor what follows them in their files; all others were",
    )


def _print(demands: Demands, unread: Unread, form: str, *, headers: bool) -> None:
    stream = sys.stdout.buffer
    if form in ("json", "yaml"):
        demand_output.structured(demands.rows(), form, stream)
    elif demands.counted:
        demand_output.table(demands.rows(), stream, wide=form == "wide", headers=headers)
    elif not demands.unusable and not unread.faults:
        click.echo("Nothing here makes pods.", err=True)


# --- reading -----------------------------------------------------------------------------------


def _from_files(demands: Demands, files: Files) -> Unread:
    return reading.each(
        files.inputs(),
        demands.add,
        so_far=lambda: f", {demands.counted} that make pods",
    )


def _from_cluster(demands: Demands, names: tuple[str, ...], target: Target) -> None:
    cluster = submit.Session(target).cluster
    demands.namespace = cluster.namespace
    demands.fetch = lambda reference: named.referred(cluster, demands.known, reference)
    for text in names:
        demands.count(named.in_cluster(cluster, demands.known, text))
