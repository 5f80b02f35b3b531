"""
The values that go into the engine and come out of it.

Manifests stay plain JSON objects; what admins write becomes frozen values here, once, at load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from policies.quota.policy import QuotaPolicy

Manifest: TypeAlias = dict[str, Any]
JSONPatch: TypeAlias = list[dict[str, Any]]

DOMAIN = "kubectl-ml.io"
API_VERSION = f"{DOMAIN}/v1alpha1"
ENFORCED = "pod-security.kubernetes.io/enforce"  # the label of a namespace


# --- what a decision is made from -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who sent a request, as `userInfo` of an AdmissionReview says it."""

    username: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One admission request, or one document of a file seen as the CREATE of it.

    `object` and `old_object` are raw JSON; the engine changes neither.
    """

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    group: str
    version: str
    kind: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    resource: str = ""  # GROUP/VERSION/PLURAL; of /scale the kind is another's. Empty: unknown
    object: Any = None
    old_object: Any = None
    user: User = User()
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What the decision needs from the cluster, fetched before.

    `installed` holds names of systems (`kueue`, `volcano`, `knative`, `kserve`, `dapr`, `istio`);
    None means that every known system is there.
    """

    kube_version: tuple[int, int] = (1, 36)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # name -> labels
    namespace_objects: Mapping[str, Manifest] = field(default_factory=dict)  # what else is known
    # By namespace: its LimitRanges, and its ResourceQuotas with what is used.
    limit_ranges: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    resource_quotas: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    installed: frozenset[str] | None = None
    user: User = User()
    now: float | None = None  # seconds since 1970; None: no clock, and nothing has expired
    # Of kinds whose CRD has another field in each generation, which one this cluster's has:
    # ("TrainJob.trainer.kubeflow.org", "podTemplateOverrides"). Not said: the newest.
    fields: frozenset[tuple[str, str]] = frozenset()
    # Runtimes of Kubeflow's Trainer that run their launcher as one of the nodes: (kind, namespace
    # or "", name). Those that come with it are known anyway.
    launchers: frozenset[tuple[str, str, str]] = frozenset()
    # What the registrations send to /validate: (group, resource, operation); None: not known.
    sent: frozenset[tuple[str, str, str]] | None = None

    def has(self, system: str) -> bool:
        """Tell whether `system` is installed."""
        return self.installed is None or system in self.installed


# --- what admins write ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A device class: a name users say, and how that device is asked for in this cluster."""

    name: str
    digest: str  # 8 hex digits of the content
    resource: str = ""
    device_class_name: str = ""
    resource_claim_template_name: str = (
        ""  # one that an admin made; empty: ours, by class and count
    )
    extra_resources: Mapping[str, str] = field(default_factory=dict)  # for each container
    memory: str = ""
    node_selector: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    tolerations: tuple[Manifest, ...] = ()
    runtime_class_name: str = ""
    env: tuple[Manifest, ...] = ()
    shm: str = ""
    per_device: Mapping[str, str] = field(default_factory=dict)  # cpu, memory
    max_per_pod: int = 0  # 0: no bound
    weight: float = 1
    cost_per_hour: float = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """
    A data source: a name users say, and how that data is mounted in this cluster.

    `type` is the one member of the spec that says what it is: `pvc`, `s3`, `gcs`, `hf`, `oci`,
    `fluid`, `nfs`, `hostPath`, `csi`, `scratch`, `memory`, `configMap` or `secret`;
    `parameters` is that member's value.
    """

    name: str
    digest: str
    type: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fetch: str = ""  # Init, CSI, Fluid; empty: what the type needs
    read_only: bool | None = None
    secret_name: str = ""
    secret_optional: bool = False
    env: tuple[Manifest, ...] = ()
    namespaces: NamespaceMatch | None = None  # who may use it; None: everyone
    cache: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""  # where a mount names none
    image: str = ""  # of the container that fetches
    command: tuple[str, ...] = ()  # of that image, called with a URI and a directory
    resources: Mapping[str, Any] = field(default_factory=dict)  # of the container that fetches
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """A Kubernetes label selector."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[Manifest, ...] = ()  # {key, operator, values}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceMatch:
    """Namespaces by name (globs) and by label; both must hold where both are given."""

    names: tuple[str, ...] = ()
    selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Who asks: any of these. A service account is `namespace:name`, each with globs."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a policy is for. Every member that is given must hold; none: everything."""

    kinds: tuple[str, ...] = ()  # "Pod", "Job.batch"
    operations: tuple[str, ...] = ()
    namespaces: NamespaceMatch | None = None
    objects: LabelSelector | None = None
    owners: tuple[str, ...] = ()
    subjects: Subjects | None = None
    intents: tuple[str, ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()  # name, expression
    exclude: Match | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A container that a policy adds beside the user's own."""

    container: Manifest
    offered: bool = False  # only for pods whose `sidecars` intent names it
    volumes: tuple[Manifest, ...] = ()
    volume_mounts: tuple[Manifest, ...] = ()  # into the receiving containers, to share a volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Inject:
    """
    What an InjectionPolicy adds. Members have the core/v1 type of their name.

    `accelerator` is an intent value in canonical form (`a100:2,rdma:1`), `mounts` a tuple of
    intent items (`imagenet:/data:ro`); `dapr`, `knative` and `mesh` are maps of strings.
    """

    accelerator: str = ""
    shm: str = ""
    mounts: tuple[str, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    init_containers: tuple[Manifest, ...] = ()
    env: tuple[Manifest, ...] = ()
    env_from: tuple[Manifest, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Manifest, ...] = ()
    affinity: Manifest | None = None
    topology_spread: tuple[Manifest, ...] = ()
    scheduler_name: str = ""
    priority_class_name: str = ""
    runtime_class_name: str = ""
    service_account_name: str = ""
    image_pull_secrets: tuple[Manifest, ...] = ()
    termination_grace_period_seconds: int = 0  # 0: nothing is said
    security_context: Manifest | None = None
    resources: Manifest | None = None
    dapr: Mapping[str, str] | None = None  # {"enabled": "true", "app-id": …} or dapr.io/* keys
    knative: Mapping[str, str] = field(
        default_factory=dict
    )  # keys of `scale`, or autoscaling.knative.dev/* keys
    mesh: Mapping[str, str] = field(
        default_factory=dict
    )  # {"inject": "true"} or "false", and Istio's own labels and annotations
    queue: str = ""
    queue_priority: str = ""  # a WorkloadPriorityClass of Kueue
    tracking: Mapping[str, Any] = field(
        default_factory=dict
    )  # {"experiment": [ENV names], "env": [EnvVar], "dataset": label}
    scrape: Mapping[str, str] = field(default_factory=dict)  # {"port": "8080", "path": "/metrics"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionPolicy:
    """What is added to which pods."""

    name: str
    digest: str
    match: Match = Match()
    mode: str = "Apply"  # or Preview
    opt_in: bool = False  # only where the `profile` intent names it
    order: int = 0  # smaller goes first; equal: by name
    on_conflict: str = "Keep"  # Override, Deny
    inject: Inject = Inject()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """One rule of a guard: an expression that must hold."""

    name: str
    expression: str
    message: str = ""
    message_expression: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """What is refused."""

    name: str
    digest: str
    match: Match = Match()
    enforcement: str = "Deny"  # Warn, Audit
    failure_policy: str = "Fail"  # Ignore
    variables: tuple[tuple[str, str], ...] = ()  # name, expression
    params: Mapping[str, Any] | None = None
    rules: tuple[GuardRule, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyException:
    """Who is let off, from what, until when."""

    name: str
    digest: str
    policies: tuple[str, ...]
    rules: tuple[str, ...] = ()  # none: every rule and check of the policies
    match: Match = Match()
    reason: str = ""
    expires: float | None = None  # seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadKind:
    """A custom kind, as the catalogue's own entries are written (`policies/workloads`)."""

    name: str
    digest: str
    entry: Manifest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicySet:
    """
    Every policy in force, ready for `engine.review`. Made by `load.policy_set`.

    Two sets are the same only if they are one object, so what is derived from a set can be cached.
    """

    accelerators: Mapping[str, Accelerator] = field(default_factory=dict)
    data_sources: Mapping[str, DataSource] = field(default_factory=dict)
    injections: tuple[InjectionPolicy, ...] = ()  # sorted by (order, name)
    workload_kinds: tuple[WorkloadKind, ...] = ()  # sorted by name
    guards: tuple[GuardPolicy, ...] = ()  # sorted by name
    exceptions: tuple[PolicyException, ...] = ()  # sorted by name
    quotas: tuple[QuotaPolicy, ...] = ()  # sorted by name


# --- what comes out -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Violation:
    """Why an object is refused: one sentence, the policy that says so, and where."""

    policy: str
    message: str  # names the field, the offending value and the fix
    path: str = ""  # JSON Pointer into the object
    code: int = 403  # 403: a policy; 422: an intent that can't be used
    reason: str = ""  # that a rule gives; empty: what goes with the code


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """What a policy would have added, and why it didn't; the pointer is from the object's root."""

    policy: str
    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a guard's rule saw when it was broken: the paths that it reads, and their values."""

    policy: str
    message: str  # of the violation that it belongs to
    rule: str  # its name; empty: it has none
    expression: str
    saw: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    The engine's answer: `/mutate` uses patch and warnings, `/validate` violations and missed.

    `object` is the request's object with `patch` applied (the same object where it is empty).
    `provenance` maps `policy@digest` to what it added: JSON Pointers into the pod or the object.
    `missed` is what an object that was already mutated still lacks: only `/validate` refuses it.
    `unheard` is what other injectors should have done to it by then: only `/validate` warns of it.
    """

    object: Any = None
    patch: JSONPatch = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    missed: tuple[Violation, ...] = ()
    unheard: tuple[str, ...] = ()
    provenance: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    preview: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # the same, of policies in mode Preview
    skipped: tuple[Skip, ...] = ()  # only where it was asked for
    reasons: tuple[Reason, ...] = ()  # of guards' rules; only where it was asked for
    audits: tuple[Violation, ...] = ()  # what guards that only audit found
