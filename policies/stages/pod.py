"""
The Pod stage: devices, mounts, sidecars and environment go in when the pod is created.

On an UPDATE nothing new goes in; what went in before is given back where the request dropped it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policies.inject import (
    dapr,
    devices,
    environment,
    knative,
    mesh,
    mounts,
    placement,
    queue,
    receive,
    restore,
    shm,
    sidecars,
)
from policies.inject.pod import LIMIT_RANGER, PodDraft, annotation, limit_ranged
from policies.inject.prepared import POD, Rule
from policies.inject.provenance import Claims
from policies.inject.sound import is_sound
from policies.intents import COMPUTE_ONLY, INJECTED, KEYS, PREFIX, Intents, nearest, read, written
from policies.match import Target
from policies.model import Facts, Violation
from policies.patch import Draft
from policies.stages import unheard
from policies.stages.context import Context
from policies.workloads import pods
from policies.workloads.pods import Origin

POLICY = "intents"
MISSED = "injection was missed, try again"
_NO_QUEUE = queue.Default()
_ONLY_ON_WORKLOADS = ("scale", "roles")


def create(context: Context) -> PodDraft | None:
    """Inject a new pod; None where its shape is not one the API server would take."""
    obj = context.request.object
    if not is_sound(obj.get("spec"), obj.get("metadata")) or not obj["spec"].get("containers"):
        return None
    origin = pods.origin(context.metadata, context.catalogue)
    pod = draft_of(context, obj)
    intents = _received(read(context.metadata.get("annotations")), origin, context.metadata)
    _refuse_unusable(pod, intents, origin, context)
    if intents.inject:
        target = context.target(
            POD,
            context.metadata.get("labels"),
            origin.owner,
            intents,
            seen=lambda: (obj, None),
        )
        prepare_receivers(pod, intents, origin)
        pod.finishes = finishes(pod, origin)
        name = pods.workload_name(context.metadata, origin)
        inject(pod, context, target, intents, name=name)
        if not origin.owner:
            given = queue_default(pod_rules(context, target, intents))
            labeled = pod.draft.get(("metadata", "labels", queue.KUEUE))
            queue.inject(pod, intents, given, facts=context.facts, places=[("metadata",)])
            if not labeled and not context.fold:
                queue.gate(pod, context.facts)
            queue.inject_pods(pod, intents, given, facts=context.facts)
            dapr.check(pod)
    pod.sign()
    if origin.owner:
        _soften(pod)
    else:
        pod.unheard = tuple(unheard.sentences(pod, context.facts))
    return pod


def update(context: Context) -> PodDraft | None:
    """Give back what was injected and the request dropped."""
    obj, old = context.request.object, context.request.old_object
    if not isinstance(old, dict) or not all(
        is_sound(one.get("spec"), one.get("metadata")) for one in (obj, old)
    ):
        return None
    pod, before = draft_of(context, obj), draft_of(context, old)
    claims = restore.claims_of(before, annotation(old, ("metadata",), INJECTED))
    pod.prior = Claims()
    held = [one for one in claims if queue.is_kueues(one[1]) and pod.where(one[1]) is not None]
    restore.give_back(pod, old, claims.without(queue.is_kueues), old_base=before)
    for policy, at, value in held:  # given back by nobody, and known as ours while it is there
        pod.claims.add(policy, at, value)
    if claims.by_policy:
        pod.sign()
    now, then = (written((one.get("metadata") or {}).get("annotations")) for one in (obj, old))
    if now != then:
        pod.warn("intents: a running pod keeps what it was given; replace it to change its intents")
    return pod


def draft_of(context: Context, obj: Any) -> PodDraft:
    """Open a Pod for editing."""
    metadata = ("metadata",)
    return PodDraft(
        draft=Draft(obj),
        spec=("spec",),
        metadata=metadata,
        whole=True,
        prior=context.recorded(obj, metadata),
        skips=context.skips,
        defaulted=limit_ranged(annotation(obj, metadata, LIMIT_RANGER)),
    )


def prepare_receivers(pod: PodDraft, intents: Intents, origin: Origin) -> None:
    """Find the containers that receive."""
    role = origin.role
    if role is None and origin.kind and len(origin.kind.roles) == 1:
        role = origin.kind.roles[0]
    elsewhere = intents.containers if origin.is_one_of_several_roles else ()
    pod.containers = receive.containers(
        pod, intents, None, role.primary if role else "", elsewhere=elsewhere
    )


def finishes(pod: PodDraft, origin: Origin) -> bool:
    """Tell whether a pod runs to an end."""
    return pod.get("restartPolicy") in ("Never", "OnFailure") or bool(
        origin.kind and origin.kind.finishes
    )


def pod_rules(
    context: Context, target: Target, intents: Intents, mode: str = "Apply"
) -> list[Rule]:
    """Find the policies that act on one pod, in their order."""
    return context.prepared.rules(target, intents, mode)


def inject(pod: PodDraft, context: Context, target: Target, intents: Intents, *, name: str) -> None:
    """Run every family over one pod, in order; `name` is the workload's."""
    rules = pod_rules(context, target, intents)
    refuse_profiles(pod, context, intents)
    run_families(pod, context, target, intents, rules)
    run_annotations(pod, context, target, intents, rules, name=name)


def run_families(
    pod: PodDraft, context: Context, target: Target, intents: Intents, rules: list[Rule]
) -> None:
    """Run every family that goes in with the pod."""
    if pod.skips is not None:
        _tell_other_containers(pod, intents)
    default = next(((rule.author, rule.devices) for rule in rules if rule.devices), None)
    author, classes = devices.inject(
        pod, intents, context.prepared, default, facts=context.facts, fold=context.fold
    )
    for rule in rules:
        if "placement" in rule.families:
            placement.inject(pod, rule.author, rule.inject)
    shm.inject(pod, intents, rules, classes, author)
    mounts.inject(
        pod, intents, rules, prepared=context.prepared, target=target, facts=context.facts
    )
    environment.inject(pod, intents, rules)
    sidecars.inject(pod, intents, rules, context.facts)


def _tell_other_containers(pod: PodDraft, intents: Intents) -> None:
    """Say which containers receive nothing of what containers receive, because others do."""
    if not intents.keys & COMPUTE_ONLY or not pod.containers:
        return
    receiving = ", ".join(f'"{one.name}"' for one in pod.containers)
    paths = {pod.draft.resolve(one.path) for one in pod.containers}
    for index in range(len(pod.get("containers") or ())):
        path = pod.draft.resolve((*pod.spec, "containers", index))
        if path not in paths:
            pod.skip(POLICY, path, f"another container receives it: {receiving}")


def run_annotations(
    pod: PodDraft,
    context: Context,
    target: Target,
    intents: Intents,
    rules: list[Rule],
    *,
    name: str,
) -> None:
    """Run the families that other injectors read, which a workload sets on its templates."""
    if intents.dapr is not None or _has(rules, "dapr"):
        dapr.inject(pod, intents, rules, name=name, facts=context.facts)
    if intents.mesh or _has(rules, "mesh"):
        run_mesh(pod, context, target, intents, rules)


def run_mesh(
    pod: PodDraft, context: Context, target: Target, intents: Intents, rules: list[Rule]
) -> None:
    """Put a pod, or what it will be, into the mesh or out of it."""
    facts = context.facts

    def fetches() -> bool:
        return mounts.fetches(intents, rules, prepared=context.prepared, target=target, facts=facts)

    namespace = context.request.namespace
    mesh.inject(pod, intents, rules, facts=facts, namespace=namespace, fetches=fetches)


def missed(pod: PodDraft) -> tuple[Violation, ...]:
    """Say what an admitted pod still lacks of what its intents ask for."""
    return tuple(
        Violation(policy=policy, message=f"{MISSED} ({what})")
        for policy, what in sorted(set(pod.unmet))
    )


def preview(context: Context, pod: PodDraft) -> dict[str, tuple[str, ...]]:
    """Tell what policies in mode Preview would add, policy by policy, without adding it."""
    found: dict[str, tuple[str, ...]] = {}
    if not context.prepared.previews:
        return found
    obj = pod.draft.object
    intents = read((obj.get("metadata") or {}).get("annotations"))
    origin = pods.origin(obj.get("metadata") or {}, context.catalogue)
    labels = (obj.get("metadata") or {}).get("labels")
    target = context.target(POD, labels, origin.owner, intents, seen=lambda: (obj, None))
    for rule in pod_rules(context, target, intents, "Preview"):
        trial = draft_of(context, obj)
        prepare_receivers(trial, intents, origin)
        trial.finishes = finishes(trial, origin)
        asked = replace(intents, sidecars=())
        run_families(trial, context, target, asked, [rule])
        run_annotations(trial, context, target, asked, [rule], name="")
        added = trial.claims.pointers().get(rule.author.key)
        if added:
            found[rule.author.key] = added
    return found


def queue_default(rules: list[Rule]) -> queue.Default:
    """Find what policies say of queues, the first that says it."""
    if not _has(rules, "queue"):
        return _NO_QUEUE
    named = ((rule.author, rule.inject.queue) for rule in rules if rule.inject.queue)
    classes = (
        (rule.author, rule.inject.queue_priority) for rule in rules if rule.inject.queue_priority
    )
    return queue.Default(queue=next(named, None), priority=next(classes, None))


def _received(intents: Intents, origin: Origin, metadata: Mapping[str, Any]) -> Intents:
    """Leave out what a role doesn't receive, where the operator copied annotations to its pods."""
    role = origin.role
    if role is None or not (origin.kind and origin.kind.propagates):
        return intents
    name = pods.role_name(metadata, role)
    chosen = name in intents.roles if intents.roles else role.compute
    if chosen:
        return intents
    return replace(intents, keys=intents.keys - COMPUTE_ONLY, accelerator=(), shm="", mounts=())


def _refuse_unusable(pod: PodDraft, intents: Intents, origin: Origin, context: Context) -> None:
    for fault in intents.faults:
        pod.refuse(
            POLICY,
            fault.message,
            code=422,
            path=f"/metadata/annotations/kubectl-ml.io~1{fault.key}",
        )
    if not origin.owner:
        refuse_unfit(pod, intents, frozenset(), POD)
        warn_of_missing(pod, intents, context.facts, "")
    warn_of_labels(pod, context.metadata.get("labels"))


def refuse_unfit(pod: PodDraft, intents: Intents, uses: frozenset[str], kind: str) -> None:
    """Refuse the intents that a kind can't use."""
    if "scale" in intents.keys and "scale" not in uses:
        pod.refuse(
            POLICY,
            f"{PREFIX}scale: a {kind} can't scale by intent; write it on a Knative Service or an "
            "InferenceService, or take it out",
            code=422,
        )
    if "roles" in intents.keys and kind == POD:
        pod.refuse(POLICY, f"{PREFIX}roles: a Pod has no roles; take it out", code=422)


def warn_of_missing(pod: PodDraft, intents: Intents, facts: Facts, autoscaling: str) -> None:
    """Warn about intents that need something which isn't installed."""
    needs: dict[str, tuple[str, ...]] = {
        "dapr": (dapr.SYSTEM,),
        "mesh": (mesh.SYSTEM,),
        "queue": queue.SYSTEMS,
    }
    if autoscaling:
        needs["scale"] = (knative.SYSTEM[autoscaling],)
    for key, systems in needs.items():
        if key in intents.keys and not any(map(facts.has, systems)):
            pod.warn(f"intents: {PREFIX}{key} needs {' or '.join(systems)}, which isn't installed")


def warn_of_labels(pod: PodDraft, labels: Any) -> None:
    """Warn about intents that were written as labels."""
    for label in labels if isinstance(labels, dict) else ():
        if isinstance(label, str) and label.startswith(PREFIX) and label[len(PREFIX) :] in KEYS:
            pod.warn(
                f"intents: {label} is a label, which says nothing here; write it as an annotation"
            )


def refuse_profiles(pod: PodDraft, context: Context, intents: Intents) -> None:
    """Refuse profiles that no policy offers."""
    known = context.prepared.opt_ins
    for name in intents.profile:
        if name not in known:
            hint = nearest(name, known) or ("; known: " + ", ".join(sorted(known)) if known else "")
            pod.refuse(
                POLICY, f'{PREFIX}profile: no policy can be opted into as "{name}"{hint}', code=422
            )


def _soften(pod: PodDraft) -> None:
    """Turn unusable intents into warnings: nothing carried ever refuses a pod with a controller."""
    if not pod.violations:
        return
    for violation in pod.violations:
        if violation.code == 422:
            pod.warn(f"{violation.policy}: {violation.message}")
    pod.violations = [one for one in pod.violations if one.code != 422]


def _has(rules: list[Rule], family: str) -> bool:
    for rule in rules:  # noqa: SIM110 -- on the hot path
        if family in rule.families:
            return True
    return False
