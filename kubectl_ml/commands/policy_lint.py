"""`kubectl ml policy lint`: what is wrong with the policies themselves, with file and line."""

from __future__ import annotations

from time import time

import click

from kubectl_ml import flags, lint_output, linting_policies, policy_flags
from kubectl_ml.policy_flags import Chosen


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("paths", nargs=-1, type=policy_flags.PolicyPath(), metavar="[DIR]...")
@policy_flags.options
@flags.where
@lint_output.options
@flags.verbosity
def lint(
    *,
    paths: tuple[str, ...],
    chosen: Chosen,
    fail_on: str,
    output: str,
) -> int:
    """
    Find policies that can't be used, are for nothing, or are at odds with each other.

    Errors: what can't be read, expressions that can't be compiled or that read what isn't there,
    matches and conditions that nothing fits, exceptions from nothing, guards that refuse what an
    injection adds.
    Warnings: injections that want different values in one place, two classes of the same devices,
    exceptions that have expired. The library is judged along, and spoken of only by itself.
    DIR is the same as --policies DIR.

    \b
    Examples:
      # As a check of the repository that holds them
      kubectl ml policy lint policies/
      # Those of the cluster; warnings count, too
      kubectl ml policy lint --policies cluster --fail-on warning
      # For a code host, which shows the findings in the change
      kubectl ml policy lint --policies policies/ -o sarif > policies.sarif
    """
    found = linting_policies.find(chosen.and_also(paths), now=time())
    lint_output.show(found, output)
    return int(lint_output.fails(found, fail_on))
