"""`kubectl ml argocd`: what an Argo CD Application is to ignore."""

from __future__ import annotations

import click

from kubectl_ml import assumed, flags, manifest_flags, policy_flags, tables
from kubectl_ml.assumed import Assumed
from kubectl_ml.ignoring import Ignoring
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen


@click.command(context_settings=flags.CONTEXT, options_metavar="-f FILENAME [flags]")
@manifest_flags.required
@policy_flags.options
@assumed.options
@flags.of_manifests("; it isn't written into the rules")
@flags.form("yaml", "json")
@flags.verbosity
def argocd(
    *,
    files: Files,
    chosen: Chosen,
    assumed_: Assumed,
    namespace: str,
    form: str,
) -> None:
    """
    Write the ignoreDifferences of an Argo CD Application for manifests that the webhook injects.

    What is added beside the fields that Git sets is nothing to Argo CD. It compares some lists
    as a whole, so what is added within them shows as OutOfSync; these rules take out just that,
    and your own changes to the same lists still show. Write them anew when intents or policies
    change. Where the webhook would refuse an object, nothing is printed.

    \b
    Examples:
      # Rules for all that an Application's folder holds
      kubectl ml argocd -R -f apps/training --policies cluster
      # As the Application has them
      kubectl kustomize apps/training | kubectl ml argocd -f - -o json
    """
    ignoring = Ignoring(
        policies=chosen.read(),
        facts=assumed_.facts(chosen),
        namespace=namespace,
    )
    for document in files.documents():
        ignoring.add(document)
    ignoring.report()
    click.echo(tables.structured({"ignoreDifferences": ignoring.rules}, form), nl=False)
