"""`kubectl ml strip`: the plain manifest again, without what was injected."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from kubectl_ml import assumed, flags, named, output, submit
from kubectl_ml.cluster import Target
from kubectl_ml.documents import Document
from kubectl_ml.stripping import Stripping
from policies.workloads import catalogue


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME…) [flags]")
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    type=flags.ManifestPath(),
    metavar="FILENAME",
    help="File, directory, URL or - (standard input) with manifests; can be repeated.",
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories below, too.")
@flags.policies
@assumed.options
@click.option(
    "-o",
    "--output",
    "format_",
    type=click.Choice(["yaml", "json", "diff", "patch"]),
    default="yaml",
    show_default=True,
    help="What to print.",
)
@flags.cluster
@flags.verbosity
@click.pass_context
def strip(
    ctx: click.Context,
    /,
    target: Target,
    *,
    names: tuple[str, ...],
    filenames: tuple[str, ...],
    recursive: bool,
    policies_: tuple[str, ...],
    no_library: bool,
    facts_file: str,
    kube_version: tuple[int, int] | None,
    format_: str,
) -> None:
    """
    Take out of manifests what was injected, and put back what was overridden.

    Intents stay where they were written. Nothing is half undone: where an object doesn't tell
    all that was added to it, the reasons are on stderr and nothing is on stdout. Nothing is
    changed in the cluster. Policies tell the kinds of workloads, and what they would add today:
    what differs from that was edited since, and isn't undone.

    \b
    Examples:
      # The manifest as it was before it was rendered
      kubectl ml strip -f rendered.yaml
      # What did the webhook add to this one?
      kubectl ml strip job/train -o diff
    """
    named.check_usage(ctx, names, filenames, "stripped")
    stripping = Stripping(
        policies=flags.read_policies(policies_, library=not no_library),
        facts=assumed.read(facts_file, kube_version, policies_),
        namespace=target.namespace or "default",
        writer=output.writer(format_, color=flags.colors(sys.stdout), done="stripped"),
    )
    found = (
        _from_cluster(stripping, names, target)
        if names
        else named.in_files(filenames, recursive=recursive)
    )
    for document in found:
        stripping.add(document)
    stripping.report()
    stripping.writer.write(sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _from_cluster(
    stripping: Stripping, names: tuple[str, ...], target: Target
) -> Iterator[Document]:
    cluster = submit.Session(target).cluster
    stripping.namespace = cluster.namespace
    known = catalogue.of(stripping.policies)
    for text in names:
        yield named.as_document(named.in_cluster(cluster, known, text), text)
