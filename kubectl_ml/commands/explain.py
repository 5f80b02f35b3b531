"""`kubectl ml explain`: what was or would be added, by whom, and what wasn't and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from kubectl_ml import assumed, flags, manifest_flags, named, policy_flags, submit, tables
from kubectl_ml.adopting import Adoption, Knowing
from kubectl_ml.assumed import Assumed
from kubectl_ml.cluster import Target
from kubectl_ml.documents import Document
from kubectl_ml.explaining import Explaining, results, text
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from policies.workloads import catalogue


@click.command(context_settings=flags.CONTEXT, options_metavar="(-f FILENAME | KIND/NAME…) [flags]")
@click.argument("names", metavar="[KIND/NAME]...", nargs=-1)
@manifest_flags.options
@policy_flags.options
@assumed.options
@flags.form("text", "json", "yaml")
@flags.cluster
@flags.verbosity
@click.pass_context
def explain(
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
    Tell what was or would be added to objects, by which policy, and what wasn't and why.

    An object that was injected tells itself what was added; beside that stands what has changed
    in the policies since. For others it is what the pods will be by today's policies. After an
    object of the cluster come its owners, up to the workload that somebody wrote.

    \b
    Examples:
      # What would be added, and why?
      kubectl ml explain -f train.yaml
      # What did the webhook add to this pod, and what has changed since?
      kubectl ml explain pod/train-abcde --policies cluster
    """
    named.check_usage(ctx, names, files, "explained")
    explaining = Explaining(
        policies=chosen.read(),
        facts=assumed_.facts(chosen),
        namespace=target.namespace or "default",
    )
    found = _from_cluster(explaining, names, target) if names else files.documents()
    for document in found:
        explaining.add(document)
    _print(explaining, form)
    if names:
        _hint_at_adoption(explaining, target)


def _print(explaining: Explaining, form: str) -> None:
    if form != "text":
        items = [result for one in explaining.found for result in results(one)]
        whole = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResultList", "items": items}
        click.echo(tables.structured(whole, form), nl=False)
        return
    color = flags.colors(sys.stdout)
    for one in explaining.found:
        click.echo(text(one, namespace=explaining.namespace, color=color))


def _hint_at_adoption(explaining: Explaining, target: Target) -> None:
    """Say how workloads are brought in that are older than the webhook."""
    knowing = Knowing(
        policies=explaining.policies, facts=explaining.facts, namespace=explaining.namespace
    )
    waiting = [
        submit.reference(one.manifest)
        for one in explaining.found
        if isinstance(knowing.adoption(one.manifest), Adoption)
    ]
    if waiting:
        submit.note(f"next: kubectl ml adopt {' '.join(waiting)}{target.flags}")


def _from_cluster(
    explaining: Explaining, names: tuple[str, ...], target: Target
) -> Iterator[Document]:
    cluster = submit.Session(target).cluster
    explaining.namespace = cluster.namespace
    known = catalogue.of(explaining.policies)
    for name in names:
        found = named.in_cluster(cluster, known, name)
        yield named.as_document(found, name)
        for owner in named.owners(cluster, found):
            yield named.as_document(owner, name)
