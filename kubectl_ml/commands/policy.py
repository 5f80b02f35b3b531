"""`kubectl ml policy`: the policies themselves, to list, read, check and carry elsewhere."""

from __future__ import annotations

import click

from kubectl_ml import flags
from kubectl_ml.program import Program, Verb

VERBS = {
    "list": Verb(
        module="kubectl_ml.commands.policy_list",
        summary="List the policies in force: what each does, matches, and its state",
    ),
    "show": Verb(
        module="kubectl_ml.commands.policy_show",
        summary="Tell in words what a policy matches and does, and who is let off",
    ),
    "lint": Verb(
        module="kubectl_ml.commands.policy_lint",
        summary="Find policies that are for nothing, or at odds with each other",
    ),
    "check": Verb(
        module="kubectl_ml.commands.policy_check",
        summary="Judge manifests as the webhook would: what is refused, warned about, audited",
    ),
    "export": Verb(
        module="kubectl_ml.commands.policy_export",
        summary="Write guards as ValidatingAdmissionPolicy, and say what that can't carry",
    ),
}


@click.command(
    cls=Program,
    verbs=VERBS,
    invoke_without_command=True,
    context_settings=flags.CONTEXT,
    subcommand_metavar="COMMAND [flags]",
    options_metavar="",
)
@flags.verbosity
@click.pass_context
def policy(ctx: click.Context) -> None:
    """
    List, read and check the policies in force, and try manifests against them.

    \b
    Examples:
      # What is in force in the cluster?
      kubectl ml policy list --policies cluster
      # Is there something wrong with these policies?
      kubectl ml policy lint --policies policies/
      # What would the guards say?
      kubectl ml policy check -f manifests/ --policies policies/
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
