"""The page of the catalogue's kinds: `scripts/reference.py` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from policies.patch import Path
from policies.workloads import catalogue, locate, scaling
from policies.workloads.catalogue import Condition, Kind, Role
from policies.workloads.paths import WILDCARD
from policies.workloads.written_counts import Count, PathCount

CATEGORIES = {
    "core": "Kubernetes",
    "batch": "Batch",
    "train": "Training",
    "tune": "Tuning",
    "serve": "Serving",
    "notebook": "Notebooks",
    "workflow": "Workflows",
    "data": "Data",
    "queue": "Queues",
    "gitops": "GitOps",
}
_INTRODUCTION = """\
Every kind whose pods are known: which intents reach, and what `kubectl ml demand` counts.
[A kind of your own](../how-to/workload-kind.md) is added by a `WorkloadKind`.

- **Roles** are its kinds of pods; those with *compute* get devices, `/dev/shm` and mounts unless the intent `roles` says otherwise. A role called `*` has the name of what the path's last `*` meets, every member of a map or element of a list; `[key=value]` is that element of a list.
- **Steady** is how many pods run without load, **peak** the most that autoscaling and rolling updates make of it; *unbounded* where nothing bounds it. "else" says what holds where a field isn't written.
- **Held back** is what makes it run nothing for now: 0 at the steady state, and its peak once it goes on.
- **Counted in queues** names the systems that count the template of a queued object, so that it has everything in it before that.
"""  # noqa: E501 -- one sentence a line

# How the counters count: at the steady state, and at the peak.
_RUNS = "a run's pods with `spec.concurrencyPolicy` Forbid or Replace; else unbounded"
_AT_ONCE = "`spec.parallelism`, else 1, and no more than `spec.completions`"
_RAY = (
    "1 head; each worker group `replicas`, else `minReplicas`, within `minReplicas` and "
    "`maxReplicas`, times `numOfHosts`; a RayJob's submitter 1 in K8sJobMode; nothing with "
    "`clusterSelector`",
    "with `enableInTreeAutoscaling`: `maxReplicas`, else unbounded; a RayService twice that, for "
    "its upgrade makes a second cluster",
)
_SPARK = (
    "1 driver; `executor.instances`, with `dynamicAllocation` the most of that, "
    "`initialExecutors` and `minExecutors`",
    "with `dynamicAllocation`: `maxExecutors`, else unbounded",
)
_KNATIVE = (
    "the annotation `autoscaling.knative.dev/min-scale` of the template, else 0",
    "`autoscaling.knative.dev/max-scale`, else unbounded",
)
_ELASTIC = (
    "`replicas` of the role, else 1; of workers, else `spec.elasticPolicy.minReplicas`",
    "workers: `spec.elasticPolicy.maxReplicas`, where it is more",
)
_STEPS = "what of its steps and tasks runs at once; tasks of a DAG side by side"
COUNTED: dict[str, tuple[str, str]] = {
    "sensor": ("1; what its triggers make is charged when it is made", "1"),
    "cronjob": ("0", _RUNS),
    "cronworkflow": ("0", _RUNS),
    "daemonset": (
        "one on each node: `status.desiredNumberScheduled`, which only the cluster knows",
        "plus `spec.updateStrategy.rollingUpdate.maxSurge`, else 0, rounded up; none with OnDelete",
    ),
    "dataload": ("1; 0 with `spec.policy` Cron or OnEvent", "1"),
    "deployment": (
        "`spec.replicas`, else 1",
        "plus `spec.strategy.rollingUpdate.maxSurge`, else 25 %, rounded up; none with Recreate",
    ),
    "disaggregatedset": (
        "`spec.slices`, else 1, times the groups of each role, as a LeaderWorkerSet's",
        "plus `maxSurge` of its groups, else 0",
    ),
    "elastic": _ELASTIC,
    "experiment": (
        "`spec.parallelTrialCount`, else 3, trials and no more than `spec.maxTrialCount`, each of "
        "what its trial makes; 1 pod that suggests",
        "the same",
    ),
    "fluid": (
        "`spec.replicas` workers, else 0; `spec.master.replicas` masters, else 1 (JuiceFS: 0)",
        "the same; one fuse on each node where a pod mounts it, so unbounded",
    ),
    "inferenceservice": (
        "`minReplicas` of predictor, transformer and explainer, else 1; workers as many as hold "
        "the ranks of `pipelineParallelSize` and `tensorParallelSize` beside the head",
        "`maxReplicas`; else unbounded by Knative, and the steady number in RawDeployment",
    ),
    "job": (_AT_ONCE, "the same"),
    "jobset": ("`replicas` of each job, else 1, times the pods of its Job", "the same"),
    "knative": _KNATIVE,
    "leaderworkerset": (
        "`spec.replicas`, else 1, groups of `spec.leaderWorkerTemplate.size` pods, else 1, one of "
        "them the leader",
        "plus `spec.rolloutStrategy.rollingUpdateConfiguration.maxSurge` groups, else 0",
    ),
    "llminferenceservice": (
        "`spec.replicas`, else `spec.scaling.minReplicas`, else 1, times the pods that "
        "`spec.parallelism` makes one of; `spec.prefill` likewise; 1 scheduler and tokenizer",
        "`spec.scaling.maxReplicas`, where it is more",
    ),
    "on_event": ("0", "unbounded: a Job for each event"),
    "openfunction": (
        "`scaleOptions.minReplicas`, else 0",
        "`scaleOptions.maxReplicas`, else unbounded",
    ),
    "optimizationjob": (
        "`spec.parallelTrials`, else 1, trials, each of what its TrainJob makes",
        "the same",
    ),
    "pipelinerun": (_STEPS, "the same"),
    "ray": _RAY,
    "raycronjob": ("0", "unbounded: nothing keeps its runs apart"),
    "rollout": (
        "`spec.replicas`, else 1",
        "canary: plus `maxSurge`, else 25 %, rounded up; twice with blue-green or `trafficRouting`",
    ),
    "scaledjob": (
        "`spec.minReplicaCount`, else 0, times the pods of its Job",
        "`spec.maxReplicaCount`, else 100, times the pods of its Job",
    ),
    "scheduledspark": ("0", f"{_RUNS}; unbounded where its executors are"),
    "scheduledworkflow": ("0", "a run's pods with `spec.maxConcurrency` 1; else unbounded"),
    "flagd": ("`spec.replicas`, else 1", "the same"),
    "workspace": ("1", "the same"),
    "seldondeployment": (
        "`replicas` of the component, the predictor or the deployment, else the least of its "
        "autoscaler, else 1",
        "`hpaSpec.maxReplicas` or `kedaSpec.maxReplicaCount`, where it is more",
    ),
    "servingruntime": (
        "`spec.replicas`, else 2, with `spec.multiModel` (ModelMesh); else 0, a template",
        "the same",
    ),
    "spark": _SPARK,
    "trainjob": (
        "`spec.trainer.numNodes`, else that of its runtime, the launcher one of them where the "
        "runtime says so; 1 for each initializer",
        "the same",
    ),
    "workflow": (f"{_STEPS}; no more than `spec.parallelism`", "the same"),
}


def page() -> str:
    """Describe every kind, by what it is for."""
    order = list(CATEGORIES)
    kinds = sorted(
        catalogue.builtin().kinds.values(), key=lambda one: (order.index(one.category), one.name)
    )
    parts = [_INTRODUCTION]
    for category, members in groupby(kinds, key=lambda one: one.category):
        parts.append(f"## {CATEGORIES[category]}\n")
        parts += [_kind(one) for one in members]
    return "\n".join(parts)


def _kind(kind: Kind) -> str:
    lines = [f"### {kind.name}\n", *_facts(kind)]
    if kind.roles:
        lines += ["", "| role | | template | primary container |", "|---|---|---|---|"]
        lines += [_row(role) for role in kind.roles]
    return "\n".join(lines) + "\n"


def _row(role: Role) -> str:
    template = f"`{role.text}`"
    if role.metadata is None:
        template += ", without metadata"
    elif role.metadata != (*role.pod_spec[:-1], "metadata"):
        template += f", its metadata in `{locate.written(role.metadata)}`"
    compute = "compute" if role.compute else ""
    primary = f"`{role.primary}`" if role.primary else "the first"
    return f"| `{role.name}` | {compute} | {template} | {primary} |"


def _facts(kind: Kind) -> Iterator[str]:
    scope = ", cluster-scoped" if kind.cluster_scoped else ""
    yield f"- Versions: {_list(kind.versions)}{scope}"
    yield from _pods(kind)
    if kind.name == "Pod":
        yield "- Held back: `spec.schedulingGates` has one"
    elif kind.suspend:
        yield f"- Held back: {_condition(kind.suspend)}"
    if kind.managed_by:
        manager = locate.written(kind.managed_by)
        ours = _list(sorted(kind.own_controller))
        yield f"- Made elsewhere where `{manager}` is neither empty nor {ours}"
    if kind.counted:
        names = {"kueue": "Kueue", "volcano": "Volcano", "kai": "KAI"}
        queues = ", ".join(names[one] for one in names if one in kind.counted)
        yield f"- Counted in queues: {queues}"
    yield from _webhook(kind)
    for one in kind.embedded:
        yield f"- Holds {one.what}: `{locate.written(one.path)}`"
    if not kind.mutate:
        yield "- Read, and never changed"


def _pods(kind: Kind) -> Iterator[str]:
    if kind.no_pods:
        where = "" if kind.no_pods.always else f" where {_condition(kind.no_pods)}"
        yield f"- Makes no pods{where}: {kind.no_pods_why}"
    if kind.template:
        yield "- A template: what uses it makes the pods"
    elif kind.counter:
        steady, peak = COUNTED[kind.counter]
        yield f"- Steady: {steady}"
        yield f"- Peak: {peak}"
    elif not kind.roles:
        if not (kind.no_pods and kind.no_pods.always):
            yield "- Steady and peak: those of what it holds"
    else:
        for counts, names in _by_count(kind):
            yield f"- {counts[0]}{names}: {counts[1]}"
    if kind.scale:
        yield f"- An autoscaler writes `{locate.written(scaling.path(kind))}`"


def _by_count(kind: Kind) -> Iterator[tuple[tuple[str, str], str]]:
    """Give the sentences of all roles, one for those that count alike."""
    said: dict[tuple[str, str], list[str]] = {}
    for role in kind.roles:
        for sentence in _of_role(role):
            names = said.setdefault(sentence, [])
            if role.name not in names:
                names.append(role.name)
    every = {role.name for role in kind.roles}
    for sentence, names in said.items():
        yield sentence, "" if set(names) == every else f" ({', '.join(names)})"


def _of_role(role: Role) -> Iterator[tuple[str, str]]:
    steady = _count(role, role.replicas)
    if role.max_replicas is None:
        yield "Steady and peak", steady
        return
    if role.min_replicas is not None and role.min_replicas != role.replicas:
        steady = f"{steady.partition(', else')[0]}, else {_count(role, role.min_replicas)}"
    most = _count(role, role.max_replicas).partition(", else")[0]
    yield "Steady", steady
    yield "Peak", f"{most}, else {'unbounded' if role.unbounded else 'the steady number'}"


def _count(role: Role, count: Count) -> str:
    if isinstance(count, int):
        return str(count)
    if isinstance(count, PathCount):
        return f"`{locate.written((*_base(role, count), *count.path))}`, else {count.default}"
    return " times ".join(_count(role, one) for one in count)


def _base(role: Role, count: PathCount) -> Path:
    if not count.up:
        return ()
    wildcards = [at for at, step in enumerate(role.pod_spec) if step == WILDCARD]
    return role.pod_spec[: wildcards[-count.up] + 1]


def _webhook(kind: Kind) -> Iterator[str]:
    if kind.accepts is not None:
        fields = _list(sorted(kind.accepts)) if kind.accepts else "nothing"
        yield f"- Its template takes only: {fields}"
    if kind.rejects:
        unless = kind.rejects_unless
        where = f", unless {_condition(unless)}" if unless else ""
        yield f"- Its own webhook refuses{where}: {_list(sorted(kind.rejects))}"
    yield from _rejected(kind)
    if kind.immutable:
        yield "- Its template can't be changed after it is created"


def _rejected(kind: Kind) -> Iterator[str]:
    """Say what single roles don't take; of a generation's field all have the same."""
    lacking = {
        role.generation: sorted(role.rejects)
        for role in kind.roles
        if role.generation and role.rejects
    }
    if kind.generations:
        newest, *others = kind.generations
        older = " or ".join(f"`{one}`" for one in others)
        yield f"- Its definition has `spec.{newest}`, in older generations {older} instead"
    for field, names in lacking.items():
        yield f"- In `{field}` its template doesn't take {_list(names)} either"
    for role in kind.roles:
        if role.rejects and not role.generation:
            yield f"- Its own webhook refuses in {role.name}: {_list(sorted(role.rejects))}"


def _condition(one: Condition) -> str:
    if one.path[:2] == ("metadata", "annotations"):
        where = f"the annotation `{one.path[2]}`"
    else:
        where = f"`{locate.written(one.path)}`"
    if one.values in ((), (True,)):
        return f"{where} is {'true' if one.values else 'there'}"
    values = " or ".join(
        f"`{str(each).lower() if isinstance(each, bool) else each}`" for each in one.values
    )
    return f"{where} is {values}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in names)
