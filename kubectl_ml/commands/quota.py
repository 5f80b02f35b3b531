"""`kubectl ml quota`: what groups may use, what they use, and who holds it."""

from __future__ import annotations

import sys
import time

import click

from kubectl_ml import flags, quota_output, quotas, submit
from kubectl_ml.cluster import Target
from kubectl_ml.errors import PluginError
from kubectl_ml.quotas import Seen, Use

EVERY_SECONDS = 2.0  # --watch
_CLEAR = "\x1b[H\x1b[2J"


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("group", default="", metavar="[GROUP]")
@flags.all_namespaces
@click.option("-w", "--watch", is_flag=True, help="Show it again every two seconds.")
@flags.policies
@click.option("--no-headers", is_flag=True, help="Leave the headers out.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json", "yaml"]),
    default="table",
    show_default=True,
    help="What to print; wide adds who holds what.",
)
@flags.cluster
@flags.verbosity
def quota(
    target: Target,
    *,
    group: str,
    all_namespaces: bool,
    watch: bool,
    policies_: tuple[str, ...],
    no_library: bool,
    no_headers: bool,
    output: str,
) -> None:
    """
    Show what groups may use, what they use, and who holds it.

    Without GROUP and -A these are the groups of your namespace. Used and reserved are what the
    policy's status says; holders are the workloads that you may list, and what is hidden is said.

    \b
    Examples:
      # What may my namespace still use?
      kubectl ml quota
      # Who holds what in team nlp?
      kubectl ml quota nlp
      # Every group, again and again
      kubectl ml quota -A -o wide --watch
    """
    cluster = submit.Session(target).cluster
    while True:
        policies = flags.read_policies(policies_ or (flags.CLUSTER,), library=not no_library)
        seen = quotas.look(cluster, policies)
        found = _wanted(seen, group, everywhere=all_namespaces)
        if watch and sys.stdout.isatty():
            click.echo(_CLEAR, nl=False)
        quota_output.show(found, output, holders=bool(group), headers=not no_headers)
        for note in seen.notes:
            click.echo(f"note: {note}", err=True)
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(EVERY_SECONDS)


def _wanted(seen: Seen, group: str, *, everywhere: bool) -> list[Use]:
    found = []
    for policy in sorted(seen.policies.quotas, key=lambda one: one.name):
        if group:
            groups = [group] if group in seen.possible(policy) else []
        else:
            groups = seen.groups(policy) if everywhere else seen.of_namespace(policy)
        found += [seen.use(policy, one) for one in groups]
    if group and not found:
        from kubectl_ml.suggest import did_you_mean

        known = {one for policy in seen.policies.quotas for one in seen.possible(policy)}
        raise PluginError(
            f'no quota knows a group "{group}"{did_you_mean(group, known)}',
            hint="kubectl ml quota -A lists those that use something",
        )
    return found
