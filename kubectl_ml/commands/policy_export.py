"""`kubectl ml policy export`: guards for clusters that run no webhook."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kubectl_ml import flags, policy_flags, tables, vap, vap_templates
from kubectl_ml.errors import PluginError
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.policy_names import PolicyName
from kubectl_ml.suggest import did_you_mean
from policies import manifests
from policies.model import GuardPolicy, Manifest, PolicySet
from policies.workloads import catalogue


@click.command(context_settings=flags.CONTEXT, options_metavar="--to vap [flags]")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=PolicyName("GuardPolicy"))
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Choice(["vap"]),
    help="vap: ValidatingAdmissionPolicy, which the API server carries out itself.",
)
@click.option(
    "--templates",
    is_flag=True,
    help="Have guards for pods judge the templates of Deployments, StatefulSets, DaemonSets, "
    "ReplicaSets and Jobs, too, by a policy NAME.templates.",
)
@policy_flags.options
@flags.where
@flags.form("yaml", "json")
@flags.verbosity
def export(
    *,
    names: tuple[str, ...],
    target: str,
    templates: bool,
    chosen: Chosen,
    form: str,
) -> None:
    """
    Write the rules of guards as ValidatingAdmissionPolicy, each with its binding.

    What a ValidatingAdmissionPolicy can't carry is said on stderr.

    \b
    Examples:
      # Have the API server itself refuse it
      kubectl ml policy export --to vap gpu-pods --policies policies/ | kubectl apply -f -
    """
    policies = chosen.read()
    guards = [_guard(policies, name) for name in names]
    known = catalogue.of(policies)
    exported = [
        vap.export(guard, policies.exceptions, known, templates=templates) for guard in guards
    ]
    for guard, one in zip(guards, exported, strict=True):
        for sentence in one.left_out:
            click.echo(f"Warning: {guard.name}: {sentence}", err=True)
    written = [each for one in exported for each in (one.policy, one.binding)]
    if templates:
        written += [each for guard in guards for each in vap_templates.export(guard, known)]
    _print(written, form)


def _guard(policies: PolicySet, name: str) -> GuardPolicy:
    short = name.rpartition("/")[2]
    found = {one.name: one for one in policies.guards}
    if short not in found:
        raise PluginError(
            f'there is no GuardPolicy "{short}"{did_you_mean(short, found) if found else ""}',
            hint="kubectl ml policy list --kind guard lists them; --policies DIR adds yours",
        )
    if not found[short].rules:
        checks = ", ".join(found[short].checks)
        raise PluginError(
            f'GuardPolicy "{short}" has no rules, and its checks ({checks}) can\'t be exported',
            hint="write what they check as rules in CEL, or leave it to the webhook",
        )
    return found[short]


def _print(objects: Sequence[Manifest], form: str) -> None:
    if form == "json":
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        click.echo(tables.structured(whole, "json"), nl=False)
    else:
        click.echo("---\n".join(manifests.dump(one) for one in objects), nl=False)
