"""`kubectl ml adopt`: bring in workloads from before the webhook acted."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass

import click

from kubectl_ml import adopting, flags, in_force, injection, named, objects, policy_flags, submit
from kubectl_ml.adopting import Adoption, Knowing
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.errors import ClusterError, NotAllowed, PluginError, Refused
from kubectl_ml.policy_flags import Chosen
from policies import manifests
from policies.model import Manifest
from policies.workloads import catalogue

ADOPTED, REPLACED = "adopted", "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags ask for."""

    chosen: Chosen
    dry_run: str  # none, client, server
    output: str
    replace: bool
    yes: bool


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags]")
@click.argument("names", metavar="KIND/NAME...", nargs=-1, required=True)
@policy_flags.options
@click.option(
    "--replace",
    is_flag=True,
    help="Delete and make anew what can't be changed, such as a Job; its pods start again.",
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask whether to go on.")
@click.option(
    "--dry-run",
    type=click.Choice(["none", "client", "server"]),
    default="none",
    show_default=True,
    help="client: only read, and show what would be written. server: let the server say what "
    "would become of it.",
)
@click.option(
    "-o",
    "--output",
    "format_",
    type=click.Choice(["yaml", "json", "name"]),
    default=None,
    help="Print the objects as they are in the end.",
)
@flags.cluster
@flags.verbosity
@click.pass_context
def adopt(
    ctx: click.Context,
    /,
    target: Target,
    *,
    names: tuple[str, ...],
    chosen: Chosen,
    replace: bool,
    yes: bool,
    dry_run: str,
    format_: str | None,
) -> None:
    """
    Bring in workloads that are older than the webhook in their namespace.

    Their templates get the intents that the webhook would have carried when they were created,
    so that their pods are injected. What changes and which pods that replaces is shown before,
    on stderr, and asked for. Either all of them are written or, where one can't be, none.

    \b
    Examples:
      # What would be done, and which pods would it replace?
      kubectl ml adopt deployment/web --dry-run=server
      # Without a question
      kubectl ml adopt deployment/web statefulset/db --yes
      # The template of a Job can't change: delete it and make it anew
      kubectl ml adopt job/train --replace
    """
    options = Options(
        chosen=chosen,
        dry_run=dry_run,
        output=format_ or "",
        replace=replace,
        yes=yes,
    )
    session = submit.Session(target)
    cluster = session.cluster
    knowing = _knowing(cluster, options, session)
    waiting = _waiting(cluster, knowing, names)
    _check(waiting, options)
    _check_quotas(cluster, knowing, waiting, session)
    _preview(cluster, knowing, waiting, options)
    if waiting and options.dry_run == submit.NONE:
        _ask(ctx, waiting, options)
    done = [_written(cluster, one, options) for one in waiting]
    submit.show(done, dry_run=options.dry_run, output=options.output)
    if waiting and options.dry_run == submit.NONE:
        submit.note(f"next: {_next(waiting[0], cluster)}")


def _knowing(cluster: Cluster, options: Options, session: submit.Session) -> Knowing:
    """Take the policies that are named, else those in force as far as one may read them."""
    policies = options.chosen.read()
    facts = injection.facts_of(cluster)
    try:
        facts = in_force.facts(cluster)
        if not options.chosen.paths:
            policies = in_force.policies(cluster, policies, session.warn)
    except NotAllowed:
        session.warn(
            "the cluster's policies can't be read, so the built-in library says what is carried; "
            "--policies DIR gives those that are in force"
        )
    except ClusterError:
        raise
    except PluginError:
        submit.note("the cluster has no policies; the built-in library says what is carried")
    return Knowing(policies=policies, facts=facts, namespace=cluster.namespace)


def _waiting(cluster: Cluster, knowing: Knowing, names: tuple[str, ...]) -> list[Adoption]:
    known, waiting = catalogue.of(knowing.policies), []
    for name in dict.fromkeys(names):
        found = named.in_cluster(cluster, known, name)
        adoption = knowing.adoption(found)
        if isinstance(adoption, Adoption):
            waiting.append(adoption)
        else:
            submit.note(f"{submit.reference(found)}: nothing to do: {adoption}")
    return waiting


def _check(waiting: list[Adoption], options: Options) -> None:
    """Raise where one can't be adopted, with the way out."""
    refused = [
        f"{objects.title(one.found)}: {each.policy}: {each.message}"
        for one in waiting
        for each in one.decision.violations
    ]
    if refused:
        raise Refused(tuple(refused), hint="nothing was changed; mend the intents, then try again")
    fixed = [one for one in waiting if one.anew and not options.replace]
    if fixed:
        raise Refused(
            tuple(
                f"{objects.title(one.found)}: the pods of a {one.kind.kind} can't be changed, so "
                "it has to be made anew"
                for one in fixed
            ),
            hint="nothing was changed; kubectl replace --force -f FILE makes it anew, and so does "
            "--replace; its pods begin from the start",
        )


def _check_quotas(
    cluster: Cluster, knowing: Knowing, waiting: list[Adoption], session: submit.Session
) -> None:
    """Raise where a QuotaPolicy would refuse what has to be made anew, before it is deleted."""
    try:
        found = adopting.quota_verdicts(cluster, knowing, waiting)
    except PluginError as error:
        session.warn(f"no QuotaPolicy was asked: {error.message}")
        return
    refused = []
    for one, verdict in found:
        sentences = [f"{verdict.policy}: {sentence}" for sentence in verdict.sentences]
        if one.anew and not verdict.fits:
            refused += [f"{objects.title(one.found)}: {each}" for each in sentences]
        else:
            for each in sentences:
                submit.note(f"{submit.reference(one.found)}: {each}")
    if refused:
        hint = "nothing was changed; kubectl ml quota shows who holds what"
        raise Refused(tuple(refused), hint=hint)


def _preview(cluster: Cluster, knowing: Knowing, waiting: list[Adoption], options: Options) -> None:
    """Show what changes, and what that does to the pods that are there."""
    if options.dry_run == submit.CLIENT:
        afters = [one.decision.object for one in waiting]
    else:
        for one in waiting:
            adopting.check_acting(cluster, one, knowing.policies)
        afters = [_sent(cluster, one, dry_run=True) for one in waiting]
    limits = adopting.resource_quotas(cluster) if waiting else []
    for one, after in zip(waiting, afters, strict=True):
        for line in _diff(one.found, after):
            click.echo(line, err=True, nl=False)
        for effect in knowing.effects(one, after, limits):
            submit.note(f"{submit.reference(one.found)}: {effect}")


def _diff(before: Manifest, after: Manifest) -> list[str]:
    name = submit.reference(before)
    then, now = (
        manifests.dump(adopting.fresh(one)).splitlines(keepends=True) for one in (before, after)
    )
    return list(difflib.unified_diff(then, now, fromfile=name, tofile=f"{name} (adopted)"))


def _ask(ctx: click.Context, waiting: list[Adoption], options: Options) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; give --yes to go on", ctx)
    names = ", ".join(submit.reference(one.found) for one in waiting)
    click.confirm(f"Adopt {names}?", abort=True, err=True)


def _sent(cluster: Cluster, one: Adoption, *, dry_run: bool) -> Manifest:
    if not one.anew:
        return cluster.edit(one.found, one.decision.patch, dry_run=dry_run)
    made = adopting.fresh(one.found)
    if dry_run:
        return adopting.rehearsed(cluster, made)
    cluster.delete(one.found)
    cluster.wait_until_gone(one.found, timeout_seconds=submit.REPLACE_SECONDS)
    return cluster.create(made)


def _written(cluster: Cluster, one: Adoption, options: Options) -> submit.Done:
    word = REPLACED if one.anew else ADOPTED
    if options.dry_run == submit.CLIENT:
        return one.decision.object, word
    return _sent(cluster, one, dry_run=options.dry_run == submit.SERVER), word


def _next(one: Adoption, cluster: Cluster) -> str:
    name = submit.reference(one.found)
    if one.kind.name in ("Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"):
        return f"kubectl rollout status {name}{cluster.flags}"
    return f"kubectl ml explain {name}{cluster.flags}"
