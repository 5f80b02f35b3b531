"""`kubectl ml policy show`: one policy in plain words."""

from __future__ import annotations

from time import time

import click

from kubectl_ml import flags, policy_flags, policy_objects, policy_telling, tables
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.policy_names import PolicyName


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("name", metavar="NAME|KIND/NAME", type=PolicyName())
@policy_flags.options
@flags.where
@flags.form("text", "json", "yaml", also=": words, or the object itself")
@flags.verbosity
def show(*, name: str, chosen: Chosen, form: str) -> None:
    """
    Tell in words what a policy matches, what it adds or refuses, and who is let off.

    \b
    Examples:
      # One of the built-in library
      kubectl ml policy show device-shm
      # A guard of the cluster, with its exceptions
      kubectl ml policy show guard/gpu-pods --policies cluster
      # A start for one of your own
      kubectl ml policy show logs -o yaml
    """
    found = policy_objects.read(chosen)
    one = policy_objects.named(found, name)
    if form == "text":
        click.echo("\n".join(policy_telling.lines(one, found, time())))
    else:
        click.echo(tables.structured(one.plain, form), nl=False)
