"""The plugin's entry point: it puts the commands together."""

from __future__ import annotations

import gc

# Looking for garbage while modules load finds none and costs a command a twentieth of its time.
gc.set_threshold(50_000)

import click  # noqa: E402 -- after the line above, which is for it

from kubectl_ml import flags  # noqa: E402
from kubectl_ml.program import Program, Verb  # noqa: E402

VERBS = {
    "render": Verb(
        module="kubectl_ml.commands.render",
        summary="Show what the policies make of manifests, offline",
    ),
    "explain": Verb(
        module="kubectl_ml.commands.explain",
        summary="Tell what was or would be added, by which policy, and what wasn't",
    ),
    "inspect": Verb(
        module="kubectl_ml.commands.inspect",
        summary="List which objects hold which device class, data source and policy",
    ),
    "strip": Verb(
        module="kubectl_ml.commands.strip",
        summary="Take out of manifests what was injected",
    ),
    "adopt": Verb(
        module="kubectl_ml.commands.adopt",
        summary="Bring in workloads from before the webhook acted",
    ),
    "lint": Verb(
        module="kubectl_ml.commands.lint",
        summary="Find intents that can't be used, with file and line",
    ),
    "fn": Verb(
        module="kubectl_ml.commands.fn",
        summary="Render a ResourceList: a KRM function for kustomize and kpt",
    ),
    "argocd": Verb(
        module="kubectl_ml.commands.argocd",
        summary="Write what Argo CD is to ignore of what the webhook adds",
    ),
    "demand": Verb(
        module="kubectl_ml.commands.demand",
        summary="Count the pods, devices, cpu and memory that manifests ask for",
    ),
    "quota": Verb(
        module="kubectl_ml.commands.quota",
        summary="Show what groups may use, what they use, and who holds it",
    ),
    "gpus": Verb(
        module="kubectl_ml.commands.gpus",
        summary="List the cluster's devices by class and node: what is free, and who holds them",
    ),
    "classes": Verb(
        module="kubectl_ml.commands.classes",
        summary="List the device classes that can be named",
    ),
    "sources": Verb(
        module="kubectl_ml.commands.sources",
        summary="List the data sources that can be named",
    ),
    "policy": Verb(
        module="kubectl_ml.commands.policy",
        summary="List, read and check the policies in force, and try manifests against them",
    ),
    "train": Verb(
        module="kubectl_ml.commands.train",
        summary="Run a training, on one node or on many",
    ),
    "serve": Verb(
        module="kubectl_ml.commands.serve",
        summary="Serve a model, or a server of your own",
    ),
    "list": Verb(
        module="kubectl_ml.commands.list",
        summary="List what train and serve made",
    ),
    "status": Verb(
        module="kubectl_ml.commands.status",
        summary="Show one of them down to its pods, and why something isn't ready",
    ),
    "logs": Verb(
        module="kubectl_ml.commands.logs",
        summary="Print what the pods write, of all ranks",
    ),
    "wait": Verb(
        module="kubectl_ml.commands.wait",
        summary="Wait until a training is done or a server is ready",
    ),
    "delete": Verb(
        module="kubectl_ml.commands.delete",
        summary="Delete what train and serve made",
    ),
    "version": Verb(
        module="kubectl_ml.commands.version",
        summary="Print the version of the plugin",
    ),
}


@click.command(
    "kubectl-ml",
    cls=Program,
    verbs=VERBS,
    invoke_without_command=True,
    context_settings=flags.CONTEXT,
    subcommand_metavar="COMMAND [flags]",
    options_metavar="",
)
@flags.verbosity
@click.pass_context
def cli(ctx: click.Context) -> None:
    """
    Say what an ML workload needs; the policies say how that is given here.

    \b
    Examples:
      # What would the webhook's pods look like?
      kubectl ml render -f train.yaml
      # Train on two nodes with four GPUs each, and watch
      kubectl ml train bert --image pytorch/pytorch --nodes 2 --accelerator a100:4 --follow \\
        -- torchrun train.py
      # Which device classes can a manifest name?
      kubectl ml classes
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run `kubectl-ml`, which kubectl calls for `kubectl ml`."""
    cli.main()
