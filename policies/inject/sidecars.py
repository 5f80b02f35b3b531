"""
Sidecars and init containers: offered by name with the `sidecars` intent, or given to all.

    kubectl-ml.io/sidecars: logs

In pods that finish a sidecar is a native one (an init container with `restartPolicy: Always`), so
that it doesn't keep its Job from completing. Elsewhere it is an ordinary container, unless its
policy writes `restartPolicy: Always` into it: then it is native wherever the server has such, and
starts before the containers, after the init containers that are there and in the order of the
policies. Touches `containers`, `initContainers`, `volumes` and the `volumeMounts` of receiving
containers; never puts anything first.
"""

from __future__ import annotations

from typing import Any

from policies.inject.pod import PodDraft
from policies.inject.prepared import Rule, offered
from policies.intents import Intents, nearest
from policies.model import Facts, Manifest, Sidecar
from policies.patch import lookup

POLICY = "sidecars"
NATIVE_SINCE = (1, 29)  # KEP-753: on by default
# What a template may refuse of a container beside its own: Knative does.
_UNLIKED = ("ports", "livenessProbe", "readinessProbe", "startupProbe")


def inject(pod: PodDraft, intents: Intents, rules: list[Rule], facts: Facts) -> None:
    """Inject the sidecars and init containers that policies give to this pod."""
    wanted = set(intents.sidecars)
    for rule in rules:
        if "sidecars" not in rule.families:
            continue
        for sidecar in rule.sidecars:
            if not sidecar.offered or sidecar.container["name"] in wanted:
                _sidecar(pod, rule, sidecar, facts)
        if rule.init_containers and pod.allows("initContainers"):
            for container in rule.init_containers:
                _init_container(pod, rule, container, facts)
    _refuse_unknown(pod, wanted, rules)


def failure_policy_warning(pod: PodDraft, workload: Any) -> str:
    """
    Warn of a pod failure policy that would read a sidecar's exit code as the workload's.

    Kubernetes checks the exit codes of native sidecars too where a rule names no container.
    """
    native = [
        item["name"]
        for item in pod.get("initContainers") or ()
        if item.get("restartPolicy") == "Always" and isinstance(item.get("name"), str)
    ]
    path = (*pod.spec[:-2], "podFailurePolicy", "rules")  # beside the template
    rules = lookup(workload, path)
    if not native or not isinstance(rules, list):
        return ""
    for index, rule in enumerate(rules):
        codes = rule.get("onExitCodes") if isinstance(rule, dict) else None
        if isinstance(codes, dict) and not codes.get("containerName"):
            return (
                f"sidecars: {'.'.join(map(str, path))}[{index}].onExitCodes also reads the exit "
                f'code of the sidecar "{native[0]}"; set containerName to the container it is for'
            )
    return ""


def _refuse_unknown(pod: PodDraft, wanted: set[str], rules: list[Rule]) -> None:
    known = {one.container["name"] for rule in rules for one in rule.sidecars} if wanted else set()
    for name in sorted(wanted - known):
        names = offered(rules)
        hint = nearest(name, names) or ("; offered: " + ", ".join(names) if names else "")
        pod.refuse(
            POLICY,
            f'kubectl-ml.io/sidecars: no policy offers a sidecar "{name}" here{hint}',
            code=422,
        )


def _init_container(pod: PodDraft, rule: Rule, container: Manifest, facts: Facts) -> None:
    if container.get("restartPolicy") and facts.kube_version < NATIVE_SINCE:
        pod.warn(
            f'{rule.author.name}: the init container "{container["name"]}" is left out, because '
            f"{_no_native(facts)}, and without them it would never let this pod start"
        )
        return
    pod.add_container(rule.author, "initContainers", container)


def _sidecar(pod: PodDraft, rule: Rule, sidecar: Sidecar, facts: Facts) -> None:
    name = sidecar.container["name"]
    member, other, container = "containers", "initContainers", dict(sidecar.container)
    asked = container.pop("restartPolicy", "") == "Always"
    old = facts.kube_version < NATIVE_SINCE
    if pod.finishes and old:
        _refuse_unending(pod, rule, name, facts)
        return
    if pod.finishes or (asked and not old):
        member, other = other, member
        container["restartPolicy"] = "Always"
    elif asked:
        pod.warn(
            f'{rule.author.name}: the sidecar "{name}" is an ordinary container, because '
            f"{_no_native(facts)}; it starts with the others, not before them"
        )
    if not _allowed(pod, sidecar, member):
        return
    if name in pod.names(other):
        pod.warn(
            f'{rule.author.name}: a container "{name}" is there already; kept as it was written'
        )
        why = f'conflict: there is a container "{name}" in {other} already'
        pod.skip(rule.author.name, (*pod.spec, member), why)
        return
    if pod.add_container(rule.author, member, container):
        _share(pod, rule, sidecar)


def _refuse_unending(pod: PodDraft, rule: Rule, name: str, facts: Facts) -> None:
    pod.refuse(
        rule.author.name,
        f'the sidecar "{name}" would keep this pod from finishing, because {_no_native(facts)}; '
        "leave it out",
        code=422,
    )


def _no_native(facts: Facts) -> str:
    major, minor = facts.kube_version
    return f"Kubernetes {major}.{minor} has no native sidecars"


def _allowed(pod: PodDraft, sidecar: Sidecar, member: str) -> bool:
    kinds = {f"volumes.{key}" for volume in sidecar.volumes for key in volume if key != "name"}
    own = [f"{member}.{key}" for key in _UNLIKED if key in sidecar.container]
    return pod.allows(member, *own, *(("volumes", *sorted(kinds)) if kinds else ()))


def _share(pod: PodDraft, rule: Rule, sidecar: Sidecar) -> None:
    for volume in sidecar.volumes:
        pod.add(rule.author, (*pod.spec, "volumes"), volume)
    for mount in sidecar.volume_mounts:
        for receiver in pod.containers:
            pod.add_mount(rule.author, receiver, mount)
