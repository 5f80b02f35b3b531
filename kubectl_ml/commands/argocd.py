"""`kubectl ml argocd`: what an Argo CD Application is to ignore."""

from __future__ import annotations

import click

from kubectl_ml import assumed, flags, named, tables
from kubectl_ml.ignoring import Ignoring


@click.command(context_settings=flags.CONTEXT, options_metavar="-f FILENAME [flags]")
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    required=True,
    type=flags.ManifestPath(),
    metavar="FILENAME",
    help="File, directory, URL or - (standard input) with manifests; can be repeated.",
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories below, too.")
@flags.policies
@assumed.options
@click.option(
    "-n",
    "--namespace",
    default="default",
    show_default=True,
    metavar="NAME",
    help="The namespace of objects that don't say theirs; it isn't written into the rules.",
)
@click.option(
    "-o",
    "--output",
    "format_",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="What to print.",
)
@flags.verbosity
def argocd(
    *,
    filenames: tuple[str, ...],
    recursive: bool,
    policies_: tuple[str, ...],
    no_library: bool,
    facts_file: str,
    kube_version: tuple[int, int] | None,
    namespace: str,
    format_: str,
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
        policies=flags.read_policies(policies_, library=not no_library),
        facts=assumed.read(facts_file, kube_version, policies_),
        namespace=namespace,
    )
    for document in named.in_files(filenames, recursive=recursive):
        ignoring.add(document)
    ignoring.report()
    click.echo(tables.structured({"ignoreDifferences": ignoring.rules}, format_), nl=False)
