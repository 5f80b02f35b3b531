"""`kubectl ml train`: a training on one node or on many, by whatever system is installed."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click

from kubectl_ml import backends, flags, submit, submit_flags, training, wishes, words
from kubectl_ml.backends.backend import Backend
from kubectl_ml.cluster import Target
from kubectl_ml.training import TrainSpec

_NAMES = [each.name for each in reversed(backends.TRAINING)]


@click.command(context_settings=flags.CONTEXT, options_metavar="")
@click.argument("name")
@click.argument("command", nargs=-1, metavar="--image IMAGE [flags] [-- COMMAND]")
@click.option("--image", required=True, metavar="IMAGE", help="The image that is trained in.")
@click.option(
    "--accelerator",
    default="",
    type=words.DeviceClass(),
    metavar="CLASS[:COUNT]",
    help="Devices for each node: a100:2. kubectl ml classes lists what can be named.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, training.MAX_NODES),
    metavar="N",
    help="How many pods train together.  [default: 1]",
)
@click.option(
    "--nproc-per-node",
    "processes",
    default="",
    metavar="N|auto",
    help="How many processes torchrun starts on each.  [default: one a device]",
)
@click.option(
    "--elastic",
    default="",
    metavar="MIN:MAX",
    help="Instead of --nodes: go on with fewer, take more when they are there.",
)
@click.option("--cpus", default="", metavar="QUANTITY", help="Processors for each node.")
@click.option("--memory", default="", metavar="QUANTITY", help="Memory for each node, at most.")
@click.option("--shm", default="", metavar="QUANTITY", help="Size of /dev/shm, for data loaders.")
@click.option(
    "--mount",
    "mounts",
    multiple=True,
    type=words.DataSourceName(),
    metavar="SOURCE:PATH[:ro|rw]",
    help="A data source or URI in the file system: imagenet:/data, s3://bucket/x:/data. "
    "Can be repeated.",
)
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="SIZE:PATH[,class=C]",
    help="A claim that is made for the run and stays after it: 200Gi:/out. Can be repeated.",
)
@click.option(
    "--env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable; without a value the one it has here. Can be repeated.",
)
@click.option(
    "--run-as-user",
    type=click.IntRange(1),
    default=None,
    metavar="UID",
    help="The user that --image runs as; then it passes the restricted Pod Security Standard.",
)
@click.option("--queue", default="", metavar="NAME", help="The queue (Kueue, else Volcano).")
@click.option(
    "--sidecar",
    "sidecars",
    multiple=True,
    type=words.SidecarName(),
    metavar="NAME",
    help="A sidecar that a policy offers; can be repeated.",
)
@click.option("--experiment", default="", metavar="NAME", help="What the tracker calls the run.")
@click.option(
    "--retries",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    metavar="N",
    help="How often to try again after a failure; an eviction is none.",
)
@click.option(
    "--max-time",
    type=flags.Duration(),
    metavar="DURATION",
    help="End the run after this time: 24h.",
)
@click.option(
    "--backend",
    type=click.Choice([submit.AUTO, *_NAMES]),
    default=submit.AUTO,
    show_default=True,
    help="What runs it; auto takes what is installed.",
)
@click.option(
    "--runtime",
    default=training.RUNTIME,
    show_default=True,
    metavar="NAME",
    help="The ClusterTrainingRuntime of a trainjob.",
)
@click.option("--replace", is_flag=True, help="Delete a run of this name first, and wait for it.")
@click.option("--follow", is_flag=True, help="Print the logs until it is done.")
@submit_flags.options
@flags.cluster
@flags.verbosity
def train(
    target: Target,
    *,
    options: submit.Options,
    backend: str,
    follow: bool,
    replace: bool,
    **given: Any,
) -> None:
    """
    Run a training, on one node or on many.

    What follows `--` is run on each node, with the environment that torchrun reads. Needs
    (devices, data, queue, …) are written as annotations, which the cluster's policies carry out.

    \b
    Examples:
      # One GPU
      kubectl ml train mnist --image pytorch/pytorch --accelerator a100 -- python train.py
      # Four nodes with eight GPUs each, data from a bucket, a volume for the results
      kubectl ml train bert --image pytorch/pytorch --nodes 4 --accelerator h100:8 \\
        --mount s3://datasets/wiki:/data --volume 200Gi:/out -- torchrun train.py
      # In a queue, tried again twice, ended after a day
      kubectl ml train bert --image pytorch/pytorch --accelerator a100:2 --queue team-a \\
        --retries 2 --max-time 24h -- torchrun train.py
      # The same name once more, and watch
      kubectl ml train bert --image pytorch/pytorch --replace --follow -- python train.py
      # Only show what would be made
      kubectl ml train bert --image pytorch/pytorch --dry-run=client -o yaml -- python train.py
    """
    if replace:
        options = dataclasses.replace(options, mode=submit.Mode.REPLACE)
    if follow and options.dry_run != submit.NONE:
        raise click.UsageError("--follow doesn't go with --dry-run, which runs nothing")
    spec = _spec(**given)
    session = submit.Session(target)
    chosen = _submitted(spec, backend, options, session)
    session.hint_at_user(spec.run_as_user)
    if follow:
        _follow(spec, chosen, session)
    else:
        submit.note(_next(spec, options, target))


def _submitted(
    spec: TrainSpec, backend: str, options: submit.Options, session: submit.Session
) -> Backend[TrainSpec]:
    """Choose the backend, and bring its objects to the cluster or to the terminal."""
    offline = options.dry_run == submit.CLIENT
    chosen = submit.choose(backend, backends.TRAINING, spec, session=session, offline=offline)
    made = chosen.objects(spec)
    if not offline:
        others = [each for each in backends.TRAINING if each is not chosen]
        submit.make_room(others, made[0], session.cluster, options)
    submit.submit(made, options, session)
    return chosen


def _follow(spec: TrainSpec, backend: Backend[TrainSpec], session: submit.Session) -> None:
    """Print the logs until it is over; raise where it failed."""
    from kubectl_ml import following, runs

    run = runs.one(session.cluster, spec.name, (backend,))
    run = following.follow(session.cluster, run)
    if run.state.failed:
        raise following.failure(session.cluster, run)
    submit.note(following.ended(run))


def _next(spec: TrainSpec, options: submit.Options, target: Target) -> str:
    if options.dry_run == submit.NONE:
        return f"next: kubectl ml logs -f {spec.name}{target.flags}"
    return "next: the same without --dry-run"


def _spec(*, name: str, nodes: int | None, **given: Any) -> TrainSpec:
    """Read what the flags say, each in its own grammar."""
    return training.check(
        TrainSpec(
            name=training.read_name(name),
            nodes=nodes or 1,
            elastic=training.read_elastic(given.pop("elastic"), nodes),
            processes=training.read_processes(given.pop("processes"), given["accelerator"]),
            env=wishes.read_env(given.pop("env"), os.environ),
            volumes=training.read_volumes(given.pop("volumes"), name),
            cpus=wishes.read_quantity("--cpus", given.pop("cpus")),
            memory=wishes.read_quantity("--memory", given.pop("memory")),
            run_as_user=given.pop("run_as_user") or 0,
            max_seconds=int(given.pop("max_time") or 0),
            **given,
        )
    )
