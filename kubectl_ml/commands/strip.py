"""`kubectl ml strip`: the plain manifest again, without what was injected."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from kubectl_ml import assumed, flags, manifest_flags, named, output, policy_flags, submit
from kubectl_ml.assumed import Assumed
from kubectl_ml.cluster import Target
from kubectl_ml.documents import Document
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.stripping import Stripping
from policies.workloads import catalogue


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME…) [flags]")
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@manifest_flags.options
@policy_flags.options
@assumed.options
@flags.form("yaml", "json", "diff", "patch")
@flags.cluster
@flags.verbosity
@click.pass_context
def strip(
    ctx: click.Context,
    /,
    target: Target,
    *,
    names: tuple[str, ...],
    files: Files,
    chosen: Chosen,
    assumed_: Assumed,
    form: str,
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
    named.check_usage(ctx, names, files, "stripped")
    stripping = Stripping(
        policies=chosen.read(),
        facts=assumed_.facts(chosen),
        namespace=target.namespace or "default",
        writer=output.writer(form, color=flags.colors(sys.stdout), done="stripped"),
    )
    found = _from_cluster(stripping, names, target) if names else files.documents()
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
