"""
From a spec's objects to the cluster, or to the terminal: what `train` and `serve` share.

    choose     the backend: the named one, or the first that is installed and can say it all
    submit     who injects is found out, then: print (dry run), create, replace or apply

Intents stand on the workload, which is the first object. Where the cluster's webhook acts, it
injects; elsewhere the engine folds into the templates what the webhook would have put there.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import click

from kubectl_ml import injection, objects, tables
from kubectl_ml.answers import not_installed
from kubectl_ml.backends.backend import NAME_LABEL, Backend
from kubectl_ml.cluster import Cluster, Target, connect
from kubectl_ml.errors import (
    AlreadyExists,
    NotAllowed,
    NotFound,
    NotInstalled,
    PluginError,
    Refused,
)
from kubectl_ml.policy_flags import Chosen
from policies import manifests
from policies.model import Facts, Manifest

AUTO, SERVER, CLIENT, NONE = "auto", "server", "client", "none"
CREATED, APPLIED, UNCHANGED = "created", "applied", "unchanged"
Done = tuple[Manifest, str]  # an object as it is now, and the word for what was done
_RESTRICTED = "would violate PodSecurity"
REPLACE_SECONDS = 300.0
# Kinds that outlive one run, and what sentences call them.
_SHARED = {"PersistentVolumeClaim": "claim", "ResourceClaimTemplate": "claim template"}


class Mode(Enum):
    """What happens where an object of that name is there already."""

    CREATE = "create"  # that is an error
    REPLACE = "replace"  # it is deleted first
    APPLY = "apply"  # it is changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags say of how to submit, whatever is submitted."""

    inject: str = AUTO  # auto, server, client
    dry_run: str = NONE  # none, client, server
    output: str = ""  # yaml, json, name; empty: sentences
    chosen: Chosen
    mode: Mode = Mode.CREATE


class Session:
    """One run of a command: the cluster, which is connected to when it is first asked."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.warnings: list[str] = []

    @cached_property
    def cluster(self) -> Cluster:
        """Connect."""
        return connect(self.target, self.warn)

    def warn(self, text: str) -> None:
        """Pass a warning on, the server's or ours, once: a rehearsal gets the same ones."""
        if text not in self.warnings:
            self.warnings.append(text)
            click.echo(f"Warning: {text}", err=True)

    def hint_at_user(self, given: int) -> None:
        """Say what makes pods pass where the server has warned that it won't take them."""
        if not given and any(_RESTRICTED in text for text in self.warnings):
            note(
                "hint: pods are restricted here; --run-as-user UID names a user that isn't root, "
                "and then they pass"
            )

    def namespace(self, *, offline: bool) -> str:
        """Say where objects go; offline nothing but `-n` says so."""
        if offline:
            return self.target.namespace or "default"
        return self.cluster.namespace


def note(text: str) -> None:
    """Say on stderr what was done or decided."""
    click.echo(text, err=True)


# --- which backend ---------------------------------------------------------------------------


def choose(
    name: str, backends: Sequence[Backend[Any]], spec: Any, *, session: Session, offline: bool
) -> Backend[Any]:
    """
    Give the backend of this name; for `auto` the first that is installed and can say the spec.

    Offline nobody can say what is installed: then it is the last, which needs only Kubernetes.
    """
    if name != AUTO:
        named = _able(next(each for each in backends if each.name == name), spec)
        if not offline:
            _check_installed(named, session.cluster)
        return named
    if offline:
        last = backends[-1]
        note(f"backend {last.name}: --dry-run=client asks no cluster; --backend names another")
        return _able(last, spec)
    for each in backends[:-1]:
        if not each.cannot(spec) and _is_installed(each, spec, session.cluster):
            return each
    return _able(backends[-1], spec)


def _check_installed(backend: Backend[Any], cluster: Cluster) -> None:
    """Say that a system isn't there, before the server says that the right to use it is not."""
    if not cluster.serves(backend.api_version, backend.kind):
        raise not_installed(backend.api_version, backend.kind)


def _able(backend: Backend[Any], spec: Any) -> Backend[Any]:
    if sentences := backend.cannot(spec):
        raise Refused(sentences, hint="choose another --backend, or leave that flag out")
    return backend


def _is_installed(backend: Backend[Any], spec: Any, cluster: Cluster) -> bool:
    kinds = ((backend.api_version, backend.kind), *backend.needs)
    return all(cluster.serves(*each) for each in kinds) and all(
        _is_there(cluster, *each) for each in backend.uses(spec)
    )


def _is_there(cluster: Cluster, api_version: str, kind: str, name: str) -> bool:
    try:
        cluster.get(api_version, kind, name, namespace=None)
    except (NotFound, NotInstalled, NotAllowed):
        return False
    return True


# --- submitting ------------------------------------------------------------------------------


def submit(made: list[Manifest], options: Options, session: Session) -> list[Manifest]:
    """
    Inject into `made`, then print, create, replace or apply it, as the options say.

    The workload is the first of `made`. The objects are given back as they are in the end.
    """
    offline = options.dry_run == CLIENT
    namespace = session.namespace(offline=offline)
    for each in made if not offline or session.target.namespace else ():
        each["metadata"]["namespace"] = namespace  # what belongs in Git is pinned to none
    word = APPLIED if options.mode is Mode.APPLY else CREATED
    if not offline:
        done = _send(made, options, session)
    elif options.inject == SERVER:
        done = [(each, word) for each in made]  # what belongs in Git: the webhook does the rest
    else:
        ready = _injected(made, options, session, facts=Facts(), namespace=namespace)
        done = [(each, word) for each in ready]
    show(done, dry_run=options.dry_run, output=options.output)
    return [each for each, _ in done]


def _send(made: list[Manifest], options: Options, session: Session) -> list[Done]:
    cluster = session.cluster
    ready = made
    if _plugin_injects(made[0], options, cluster):
        facts = injection.facts_of(cluster)
        ready = _injected(made, options, session, facts=facts, namespace=cluster.namespace)
        if options.inject == AUTO and ready != made:
            note("no webhook injects here, so the plugin does (--inject server leaves it out)")
    elif options.chosen.paths:  # the webhook injects, and says what its pods need besides
        injector = _injector(options, session, injection.facts_of(cluster), cluster.namespace)
        ready = [*made, *injector.needed(made[0])]
    done = _written(ready, options, cluster)
    if options.inject == SERVER and (keys := injection.left_undone(made[0], done[0][0])):
        session.warn(
            f'no webhook acts in namespace "{cluster.namespace}": {", ".join(keys)} '
            f"{'isn' if len(keys) == 1 else 'aren'}'t carried out; leave --inject server out"
        )
    return done


def _written(ready: list[Manifest], options: Options, cluster: Cluster) -> list[Done]:
    dry_run = options.dry_run == SERVER
    if options.mode is Mode.APPLY:
        return _apply(ready, cluster, dry_run=dry_run)
    if options.mode is Mode.REPLACE:
        _make_room(ready, cluster, dry_run=dry_run)
        if dry_run:
            return [(_rehearsed(each, cluster), CREATED) for each in ready]
    return _create(ready, cluster, dry_run=dry_run)


def _plugin_injects(workload: Manifest, options: Options, cluster: Cluster) -> bool:
    """
    Find out whether the plugin is to inject: where no webhook acts, which a dry run shows.

    It needs no right but to create the workload. A name that is taken is left to `create`.
    """
    if options.inject != AUTO:
        return options.inject == CLIENT
    probe = injection.probe(workload)
    if options.mode is Mode.APPLY:
        answer = cluster.apply(probe, dry_run=True)
    else:
        answer = _rehearsed(probe, cluster, anew=options.mode is Mode.REPLACE)
    return not injection.is_carried(answer)


def _injected(
    made: list[Manifest], options: Options, session: Session, *, facts: Facts, namespace: str
) -> list[Manifest]:
    """Fold into the objects what their pods will be, by the policies that the plugin has."""
    injector = _injector(options, session, facts, namespace)
    ready = [injector.injected(each) for each in made]
    return [*ready, *injector.beside(ready[0])]


def _injector(
    options: Options, session: Session, facts: Facts, namespace: str
) -> injection.Injector:
    return injection.Injector(
        policies=options.chosen.read(), facts=facts, namespace=namespace, warn=session.warn
    )


def _rehearsed(found: Manifest, cluster: Cluster, *, anew: bool = True) -> Manifest:
    """Create in a dry run; `anew` under a name that can't be taken, as if the old were gone."""
    if not anew:
        return cluster.create(found, dry_run=True)
    name = found["metadata"]["name"]
    other = copy.deepcopy(found)
    other["metadata"]["name"] = f"{name[:50]}-{secrets.token_hex(3)}"
    answer = cluster.create(other, dry_run=True)
    answer["metadata"]["name"] = name
    return answer


def make_room(
    others: Sequence[Backend[Any]], workload: Manifest, cluster: Cluster, options: Options
) -> None:
    """See to runs of this name that other backends have: they are in the way, or are replaced."""
    name = workload["metadata"]["name"]
    for other in others:
        try:
            old = cluster.get(other.api_version, other.kind, name)
        except (NotFound, NotInstalled, NotAllowed):
            continue
        if (old["metadata"].get("labels") or {}).get(NAME_LABEL) != name:
            continue
        if options.mode is not Mode.REPLACE:
            raise AlreadyExists(
                f'{objects.title(old)} already exists in namespace "{cluster.namespace}"',
                hint="--replace deletes it and starts anew; or choose another name",
                status=409,
            )
        _rehearsed(workload, cluster)  # what is refused replaces nothing
        _delete(old, cluster, dry_run=options.dry_run == SERVER)


def _delete(old: Manifest, cluster: Cluster, *, dry_run: bool) -> None:
    if not dry_run:
        note(f"deleting {objects.title(old)}")
        cluster.delete(old)
        cluster.wait_until_gone(old, timeout_seconds=REPLACE_SECONDS)


def _create(ready: list[Manifest], cluster: Cluster, *, dry_run: bool) -> list[Done]:
    """Create the workload, then the objects that go with it; all of it, or nothing stays."""
    workload = cluster.create(ready[0], dry_run=dry_run)
    try:
        others = [_beside(each, workload, cluster, dry_run=dry_run) for each in ready[1:]]
    except PluginError:
        if not dry_run:
            cluster.delete(workload)
        raise
    return [(workload, CREATED), *others]


def _beside(each: Manifest, workload: Manifest, cluster: Cluster, *, dry_run: bool) -> Done:
    """Create an object that goes with the workload; one that is shared is used again."""
    mine = _of(each, workload, dry_run=dry_run)
    try:
        return cluster.create(mine, dry_run=dry_run), CREATED
    except AlreadyExists:
        old = cluster.get(each["apiVersion"], each["kind"], each["metadata"]["name"])
        if each["kind"] in _SHARED:
            name = each["metadata"]["name"]
            note(f'{_SHARED[each["kind"]]} "{name}" is there already and is used again')
            return old, UNCHANGED
        _check_ours(old, like=each)
        if dry_run:
            return old, CREATED
        cluster.delete(old)  # its owner is gone, and so it would be soon
        cluster.wait_until_gone(old, timeout_seconds=REPLACE_SECONDS)
        return cluster.create(mine), CREATED


def _of(each: Manifest, workload: Manifest, *, dry_run: bool) -> Manifest:
    """Make the workload the owner, so that the object goes with it; a shared one is nobody's."""
    if dry_run or each["kind"] in _SHARED:
        return each
    owner = {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "name": workload["metadata"]["name"],
        "uid": workload["metadata"]["uid"],
    }
    return each | {"metadata": each["metadata"] | {"ownerReferences": [owner]}}


def _apply(ready: list[Manifest], cluster: Cluster, *, dry_run: bool) -> list[Done]:
    workload = cluster.apply(ready[0], dry_run=dry_run)
    others = [_of(each, workload, dry_run=dry_run) for each in ready[1:]]
    applied = [workload, *(cluster.apply(each, dry_run=dry_run) for each in others)]
    return [(each, APPLIED) for each in applied]


def _make_room(ready: list[Manifest], cluster: Cluster, *, dry_run: bool) -> None:
    """Delete what has the workload's name, once the server has said that it takes the new one."""
    workload = ready[0]
    try:
        old = cluster.get(workload["apiVersion"], workload["kind"], workload["metadata"]["name"])
    except NotFound:
        return
    _check_ours(old, like=workload)
    _rehearsed(workload, cluster)
    _delete(old, cluster, dry_run=dry_run)


def _check_ours(old: Manifest, *, like: Manifest) -> None:
    """Raise unless an object that is in the way was made for the same run."""
    labels = old["metadata"].get("labels") or {}
    if not like["metadata"]["labels"].items() <= labels.items():
        raise PluginError(
            f"{objects.title(old)} is in the way: it wasn't made for a run of this name",
            hint="choose another name, or delete it with kubectl delete",
        )


# --- what is printed -------------------------------------------------------------------------


def show(done: Sequence[Done], *, dry_run: str, output: str) -> None:
    """Print the objects, or a sentence for each, as kubectl does."""
    found = [each for each, _ in done]
    match output:
        case "yaml":
            click.echo("---\n".join(manifests.dump(each) for each in map(clean, found)), nl=False)
        case "json":
            cleaned = [clean(each) for each in found]
            whole = (
                cleaned[0]
                if len(cleaned) == 1
                else {"apiVersion": "v1", "kind": "List", "items": cleaned}
            )
            click.echo(tables.structured(whole, "json"), nl=False)
        case "name":
            for each in found:
                click.echo(reference(each))
        case _:
            suffix = {CLIENT: " (dry run)", SERVER: " (server dry run)"}.get(dry_run, "")
            for each, word in done:
                click.echo(f"{reference(each)} {word}{suffix}")


def reference(found: Manifest) -> str:
    """Name an object as kubectl does: `job.batch/bert`."""
    group = found["apiVersion"].rpartition("/")[0]
    kind = ".".join(filter(None, [found["kind"].lower(), group]))
    return f"{kind}/{found['metadata']['name']}"


def clean(found: Manifest) -> Manifest:
    """Leave out who manages which field, as kubectl does."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    return found | {"metadata": metadata}
