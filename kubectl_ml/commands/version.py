"""`kubectl ml version`: which version this is."""

from __future__ import annotations

import click

from kubectl_ml import flags


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="What to print.")
@flags.verbosity
def version(*, output: str | None) -> None:
    """
    Print the version of the plugin and what it renders for.

    \b
    Examples:
      kubectl ml version
      kubectl ml version -o json
    """
    from importlib.metadata import version as installed

    from policies.model import API_VERSION, Facts

    major, minor = Facts().kube_version
    found = {
        "clientVersion": f"v{installed('kubectl-ml')}",
        "apiVersion": API_VERSION,
        "kubeVersion": f"{major}.{minor}",
    }
    if output is None:
        click.echo(f"Client Version: {found['clientVersion']}")
        click.echo(f"Policy API Version: {found['apiVersion']}")
        click.echo(f"Renders for Kubernetes: {found['kubeVersion']}")
    else:
        from kubectl_ml import tables

        click.echo(tables.structured(found, output), nl=False)
