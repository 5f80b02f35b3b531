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
    "classes": Verb(
        module="kubectl_ml.commands.classes",
        summary="List the device classes that can be named",
    ),
    "sources": Verb(
        module="kubectl_ml.commands.sources",
        summary="List the data sources that can be named",
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
      # Which device classes can a manifest name?
      kubectl ml classes
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run `kubectl-ml`, which kubectl calls for `kubectl ml`."""
    cli.main()
