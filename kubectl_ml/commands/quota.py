"""`kubectl ml quota`: what groups may use, what they use, and who holds it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from kubectl_ml import flags, manifest_flags, objects, policy_flags, quota_output, quotas, submit
from kubectl_ml.answers import VIEW
from kubectl_ml.cluster import Cluster, Target
from kubectl_ml.errors import NotAllowed, PluginError
from kubectl_ml.fitting import Fitting
from kubectl_ml.manifest_flags import Files
from kubectl_ml.policy_flags import Chosen
from kubectl_ml.quotas import Seen, Use

EVERY_SECONDS = 2.0  # --watch
_KIND = "QuotaPolicy"
_CHECK = "check"
_COUNTS_NOTHING = ("GuardPolicy",)
_CLEAR = "\x1b[H\x1b[2J"


@click.command(context_settings=flags.CONTEXT, options_metavar="[flags] | check -f FILENAME")
@click.argument("group", default="", metavar="[GROUP]")
@manifest_flags.of_check
@flags.all_namespaces
@click.option("-w", "--watch", is_flag=True, help="Show it again every two seconds.")
@policy_flags.options
@flags.no_headers
@flags.form("table", "wide", "json", "yaml", "name", also="; wide adds who holds what")
@flags.cluster
@flags.verbosity
def quota(
    target: Target,
    *,
    group: str,
    files: Files,
    all_namespaces: bool,
    watch: bool,
    chosen: Chosen,
    no_headers: bool,
    form: str,
) -> int:
    """
    Show what groups may use, what they use, and who holds it.

    Without GROUP and -A these are the groups of your namespace. Used and reserved are what the
    policy's status says; holders are the workloads that you may list, and what is hidden is said.
    `check -f` says whether manifests would fit (else it ends with 1), and what would have to go.

    \b
    Examples:
      # What may my namespace still use?
      kubectl ml quota
      # Who holds what in team nlp?
      kubectl ml quota nlp
      # Every group, again and again
      kubectl ml quota -A -o wide --watch
      # Would this fit?
      kubectl ml quota check -f train.yaml
    """
    _check_usage(group, files, form)
    cluster = submit.Session(target).cluster
    chosen = chosen.or_cluster
    while True:
        seen = _look(cluster, chosen)
        if files:
            return _check(seen, files, form)
        found = _wanted(seen, group, everywhere=all_namespaces)
        if watch and sys.stdout.isatty():
            click.echo(_CLEAR, nl=False)
        if not found and form in ("table", "wide"):
            click.echo(_nothing(seen, everywhere=all_namespaces), err=True)
        else:
            quota_output.show(found, form, holders=bool(group), headers=not no_headers)
        _say(seen, everywhere=all_namespaces and not group)
        if not watch:
            return 0
        sys.stdout.flush()
        time.sleep(EVERY_SECONDS)


def _check_usage(group: str, files: Files, form: str) -> None:
    if files and group != _CHECK:
        raise click.UsageError("-f is for `kubectl ml quota check -f FILENAME`")
    if files and form == "name":
        raise click.UsageError(
            "-o name names quotas; check tells of manifests: leave it out, or -o json"
        )


def _say(seen: Seen, *, everywhere: bool = False) -> None:
    for note in (*seen.notes, *seen.untold(everywhere=everywhere)):
        click.echo(f"note: {note}", err=True)


def _nothing(seen: Seen, *, everywhere: bool) -> str:
    names = sorted(one.name for one in seen.policies.quotas)
    if not everywhere or not names:
        return "No quota is known to hold here." if seen.unplaced else "No quota holds here."
    return f"Nothing is used of {', '.join(names)} yet."


def _look(cluster: Cluster, chosen: Chosen) -> Seen:
    hidden: dict[str, NotAllowed] = {}
    policies = chosen.read(hidden=hidden)
    _check_hidden(hidden)
    seen = quotas.look(cluster, policies)
    _say_hidden(seen, hidden)
    return seen


def _check_hidden(hidden: Mapping[str, NotAllowed]) -> None:
    """Raise where the quotas themselves may not be read."""
    if _KIND in hidden:
        raise NotAllowed(
            hidden[_KIND].message,
            hint=f"an admin can bind the ClusterRole {VIEW} to you in the whole cluster; "
            "quotas from files: --policies DIR",
        )


def _say_hidden(seen: Seen, hidden: Mapping[str, NotAllowed]) -> None:
    kinds = [one for one in hidden if one not in _COUNTS_NOTHING]
    if kinds and seen.policies.quotas:
        seen.notes[
            f"{', '.join(kinds)} objects are hidden: you can't list them, and they may change what "
            "workloads ask for"
        ] = None


def _check(seen: Seen, files: Files, form: str) -> int:
    fitting = Fitting(seen=seen)
    for document in files.documents():
        if document.value is not None:
            objects.check(document)
            objects.replaced(document.value, fitting.add)
    _say(seen)
    quota_output.verdicts(fitting.verdicts, form)
    return int(not all(one.fits for one in fitting.verdicts))


def _wanted(seen: Seen, group: str, *, everywhere: bool) -> list[Use]:
    found = []
    if not (group or everywhere):
        seen.note_unasked(seen.namespace)
    for policy in sorted(seen.policies.quotas, key=lambda one: one.name):
        if group:
            groups = [group] if group in seen.possible(policy) else []
        else:
            groups = seen.groups(policy) if everywhere else seen.of_namespace(policy)
        found += [seen.use(policy, one) for one in groups]
    if group == _CHECK and not found:
        raise click.UsageError("`kubectl ml quota check` needs what to check: -f FILENAME")
    if group and not found:
        raise _unknown(group, seen)
    return found


def _unknown(group: str, seen: Seen) -> PluginError:
    from kubectl_ml.suggest import did_you_mean

    quotas_ = seen.policies.quotas
    known = sorted({one for policy in quotas_ for one in seen.possible(policy)})
    is_policy = any(one.name == group for one in quotas_)
    near = "; that is a policy" if is_policy else did_you_mean(group, known)
    return PluginError(
        f'no quota knows a group "{group}"{near}',
        hint="kubectl ml quota -A lists those that use something or have a budget of their own",
    )
