"""`kubectl ml serve`: a model, or a server of one's own, on KServe, Knative or plain Kubernetes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from kubectl_ml import (
    dapr_objects,
    flags,
    serve_extras,
    servers,
    serving,
    submit,
    submit_flags,
    wishes,
    words,
)
from kubectl_ml.backends import serving as backends
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.serving import ServeSpec
from policies.model import Manifest


@click.command(context_settings=flags.CONTEXT, options_metavar="")
@click.argument("name")
@click.argument("args", nargs=-1, metavar="[flags] [-- ARG...]")
@click.option(
    "--model",
    default="",
    metavar="URI",
    help="Where the model lies: s3://, gs://, "
    "hf://OWNER/NAME[@REVISION], oci://, pvc://CLAIM/path, https:// (KServe), or a data source.",
)
@click.option(
    "--format",
    "format_",
    default="",
    metavar="FORMAT",
    help=f"What kind of model it is; says what serves it: {', '.join(servers.FORMATS)}.",
)
@click.option(
    "--image",
    default="",
    metavar="IMAGE",
    help="The image of a server of your own; "
    f"a --model lies in {servers.MODELS}. With --format, instead of the format's image.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Where the server in --image listens.",
)
@click.option(
    "--run-as-user",
    type=click.IntRange(1),
    default=None,
    metavar="UID",
    help="The user that --image runs as; then it passes the restricted Pod Security Standard.",
)
@click.option(
    "--accelerator",
    default="",
    type=words.DeviceClass(),
    metavar="CLASS[:COUNT]",
    help="Devices for each replica: a100:1.",
)
@click.option("--cpus", default="", metavar="QUANTITY", help="Processors for each replica.")
@click.option("--memory", default="", metavar="QUANTITY", help="Memory for each replica, at most.")
@click.option("--shm", default="", metavar="QUANTITY", help="Size of /dev/shm.")
@click.option(
    "--scale",
    default="",
    metavar="PAIRS",
    help="min=,max=,target=,metric=concurrency|rps|cpu|memory,window=,initial=,retention=.",
)
@click.option(
    "--trigger",
    "triggers",
    multiple=True,
    metavar="YAML",
    help="A trigger of KEDA for a Deployment: {type: prometheus, metadata: {…}}; can be repeated.",
)
@click.option(
    "--canary",
    type=click.IntRange(1, 99),
    default=None,
    metavar="PERCENT",
    help="Traffic for the new revision; the one before keeps the rest. Without it: all.",
)
@click.option(
    "--expose",
    default="",
    metavar="HOST",
    help="Make it reachable from outside the cluster under this name.",
)
@click.option(
    "--dapr",
    default="",
    metavar="true|PAIRS",
    help="Dapr's sidecar: true, or app-id=,app-port=,app-protocol=,config=.",
)
@click.option(
    "--env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable of the server; without a value the one it has here. Can be repeated.",
)
@click.option(
    "--mount",
    "mounts",
    multiple=True,
    type=words.DataSourceName(),
    metavar="SOURCE:PATH[:ro|rw]",
    help="A data source or URI in the server's file system; can be repeated.",
)
@click.option(
    "--sidecar",
    "sidecars",
    multiple=True,
    type=words.SidecarName(),
    metavar="NAME",
    help="A sidecar that a policy offers; can be repeated.",
)
@click.option(
    "--backend",
    type=click.Choice([backends.AUTO, *backends.BACKENDS]),
    default=backends.AUTO,
    show_default=True,
    help="What serves; auto takes what is installed.",
)
@dapr_objects.options
@serve_extras.options
@submit_flags.options
@flags.cluster
@flags.verbosity
def serve(target: Target, *, options: submit.Options, backend: str, **given: Any) -> None:
    """
    Serve a model, or a server of your own.

    Run it again to change what is served. The intents (devices, mounts, scaling, …) are written
    as annotations, which the cluster's policies carry out.

    \b
    Examples:
      # A model in a bucket, on KServe where it is installed
      kubectl ml serve iris --model s3://models/iris --format sklearn
      # A language model on one GPU
      kubectl ml serve llm --model hf://Qwen/Qwen2.5-7B-Instruct --format huggingface \\
        --accelerator a100:1 --memory 64Gi
      # A server of your own that scales to zero
      kubectl ml serve app --image registry.example.com/app:1 --port 8080 --scale min=0,max=5
      # A tenth of the traffic for a new version
      kubectl ml serve app --image registry.example.com/app:2 --port 8080 --canary 10
      # Only show what would be applied
      kubectl ml serve app --image registry.example.com/app:1 --port 8080 --dry-run=client -o yaml
    """
    options = replace(options, mode=submit.Mode.APPLY)
    spec = _spec(**given)
    session = submit.Session(target)
    made, old = _objects(backend, spec, None if _is_offline(options) else session.cluster)
    early = [each for each in old if backends.is_autoscaler(each)]
    _remove(early, options, session)
    submit.submit(made, options, session)
    if spec.image:
        session.hint_at_user(spec.run_as_user)
    _remove([each for each in old if each not in early], options, session)
    if options.dry_run == submit.NONE:
        submit.note(f"next: kubectl ml status {spec.name}{target.flags}")
    else:
        submit.note("next: the same without --dry-run")


def _is_offline(options: submit.Options) -> bool:
    return options.dry_run == submit.CLIENT


def _objects(
    asked: str, spec: ServeSpec, cluster: Cluster | None
) -> tuple[list[Manifest], list[Manifest]]:
    """Give the objects to be, and those of an earlier run that are not to be any more."""
    backend, spec = backends.choose(asked, spec, cluster)
    if cluster is None:
        if asked == backends.AUTO:
            submit.note(
                f"backend {backend.name}: --dry-run=client asks no cluster; --backend names another"
            )
        return backends.made(backend, spec), []
    made = backends.made(backend, spec)
    backends.check_room(backend, spec, made, cluster)
    return made, backends.stale(backend, spec, made, cluster)


def _remove(found: Sequence[Manifest], options: submit.Options, session: submit.Session) -> None:
    """Delete what isn't asked for any more."""
    dry_run = options.dry_run == submit.SERVER
    for each in found:
        session.cluster.delete(each, dry_run=dry_run)
        submit.note(
            f"{submit.reference(each)} deleted{' (server dry run)' if dry_run else ''}: "
            "it isn't asked for any more"
        )


def _spec(
    *, scale: str, triggers: tuple[str, ...], env: tuple[str, ...], **given: Any
) -> ServeSpec:
    """Read what the flags say, each in its own grammar."""
    given |= serve_extras.read(given)
    given["dapr_parts"] = dapr_objects.read(given)
    return serving.spec(
        scale=serving.read_scale(scale),
        triggers=tuple(serving.read_trigger(each) for each in triggers),
        env=wishes.read_env(env, os.environ),
        expose=serving.read_host(given.pop("expose")),
        cpus=wishes.read_quantity("--cpus", given.pop("cpus")),
        memory=wishes.read_quantity("--memory", given.pop("memory")),
        canary=given.pop("canary") or 0,
        run_as_user=given.pop("run_as_user") or 0,
        **given,
    )
