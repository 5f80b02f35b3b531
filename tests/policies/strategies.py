"""Generated pods, workloads, intents and policies: legal ones, and ones of any shape."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from policies.model import Facts, Manifest
from tests import builders

SOURCES = """
kind: DataSource
metadata: {name: imagenet}
spec: {s3: {bucket: datasets, prefix: imagenet/v3}, fetch: Init, secretName: s3}
---
kind: DataSource
metadata: {name: shared}
spec: {pvc: {claimName: shared}}
---
kind: DataSource
metadata: {name: logs}
spec: {fluid: logs, readOnly: true}
---
kind: DataSource
metadata: {name: coco}
spec: {s3: {bucket: coco, prefix: "{revision}"}, revision: "2017", cache: {claimName: cache}}
---
kind: DataSource
metadata: {name: clips}
spec: {gcs: {bucket: clips}, fetch: CSI}
---
kind: DataSource
metadata: {name: scans}
spec: {gcs: {bucket: scans, prefix: raw}, secretName: scans, cache: {hostPath: /var/cache/ml}}
---
kind: DataSource
metadata: {name: tiny}
spec: {oci: "registry.example.com/tiny:1"}
---
kind: DataSource
metadata: {name: server}
spec: {nfs: {server: nfs.example.com, path: /data}, readOnly: true}
---
kind: DataSource
metadata: {name: disk}
spec: {hostPath: /mnt/disk}
---
kind: DataSource
metadata: {name: driver}
spec: {csi: {driver: inline.example.com}}
---
kind: Accelerator
metadata: {name: h100.dra}
spec: {deviceClassName: gpu.nvidia.com, extraResources: {hugepages-2Mi: 1Gi}, shm: 4Gi}
---
kind: Accelerator
metadata: {name: gpu-8g}
spec: {resource: nvidia.com/gpu, extraResources: {nvidia.com/gpumem: 8000}, perDevice: {cpu: 2}}
"""
ADDITIONS = (
    "{env: [{name: TEAM, value: ml}, {name: MODE, value: policy}]}",
    "{tolerations: [{key: team, operator: Exists}], nodeSelector: {pool: ml}}",
    "{sidecars: [{container: {name: agent, image: agent:1}}]}",
    "{sidecars: [{container: {name: proxy, image: proxy:1, restartPolicy: Always}}]}",
    "{initContainers: [{name: warm, image: warm:1}], imagePullSecrets: [{name: registry}]}",
    "{labels: {cost: ml}, annotations: {note: from-policy}, scrape: {port: '8080'}}",
    "{scrape: {port: 9400, name: metrics}, tracking: {datasetLabel: dataset}}",
    "{priorityClassName: training, schedulerName: bin-packer, serviceAccountName: trainer}",
    "{resources: {requests: {cpu: '2', memory: 4Gi}, limits: {memory: 8Gi}}}",
    "{resources: {limits: {cpu: 200m, memory: 512Mi}}}",
    "{securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}}",
    "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution:"
    " {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}}}",
    "{topologySpread: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}",
    "{envFrom: [{configMapRef: {name: settings}}], mounts: ['shared:/shared:ro'], shm: 2Gi}",
    "{dapr: {app-port: '9000', dapr.io/log-level: debug}, mesh: 'false'}",
    "{accelerator: 'l4:1'}",
    "{affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution:"
    " [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}}",
    "{accelerator: 'h100.dra:1', queue: {name: team-b, priorityClass: low}}",
    "{terminationGracePeriodSeconds: 120, env: [{name: THREADS, valueFrom: {resourceFieldRef:"
    " {resource: limits.cpu}}}, {name: OMP_NUM_THREADS, value: $(THREADS)}]}",
    "{knative: {min: 2, metric: cpu, containerConcurrency: 4, timeoutSeconds: 60,"
    " networking.knative.dev/visibility: cluster-local,"
    " serving.knative.dev/rollout-duration: 300s}}",
)
CONFLICTS = ("Keep", "Override", "Deny")
VALUES: dict[str, tuple[str, ...]] = {
    "accelerator": (
        "a100:2",
        "gpu",
        "a100:2, rdma:2",
        "mig-1g.10gb",
        "tpu-v5e:4",
        "h100.dra:2",
        "h100.dra, rdma",
        "gpu-8g:2",
        "nope",
        "a100:0",
    ),
    "containers": ("main", "main,second", "setup", "nope"),
    "roles": ("worker", "launcher,worker", "predictor", "transformer", "nope"),
    "shm": ("1Gi", "64Mi", "plenty"),
    "mounts": (
        "imagenet:/data",
        "imagenet:/data:ro, scratch://100Gi:/tmp/work",
        "pvc://claim/sub:/data",
        "memory://1Gi:/cache\nconfigmap://settings:/etc/settings",
        "hf://org/model@main:/model",
        "oci://registry.example.com/model:1:/model",
        "secret://token:/token",
        "shared/sub:/data:rw",
        "logs/day:/logs, coco/val@2014:/coco, scans:/scans",
        "gs://clips/raw:/clips, clips:/data, tiny/weights@2:/tiny",
        "server/a:/server, disk/b@c:/disk, driver:/driver, imagenet@v4:/data",
        "nope:/data",
    ),
    "sidecars": ("logs", "nope"),
    "dapr": ("true", "app-id=reco,app-port=8080", "app-port=0"),
    "scale": (
        "min=0,max=5,target=10,metric=concurrency",
        "min=1,window=30s",
        "metric=cpu",
        "min=x",
    ),
    "queue": ("team-a", "Team A"),
    "experiment": ("bert-42",),
    "mesh": ("true", "false", "maybe"),
    "profile": ("debug", "nope"),
    "inject": ("true", "false"),
}
UNKNOWN_INTENT = {"accelerater": "a100"}


def wanted(*, carried: bool = True) -> st.SearchStrategy[dict[str, str]]:
    """Generate intents, mostly good ones."""
    keys = [key for key in VALUES if carried or key not in ("scale", "roles")]
    return st.lists(st.sampled_from(keys), max_size=5, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {
                builders.PREFIX + key: st.sampled_from(VALUES[key][:1] * 3 + VALUES[key])
                for key in chosen
            }
        )
    )


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _some(item: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Manifest]:
    """Generate a map with any of these members."""
    return st.fixed_dictionaries({}, optional=item)


resources = _some(
    {
        "limits": st.sampled_from(
            (
                {"nvidia.com/gpu": "1"},
                {"nvidia.com/gpu": 2, "cpu": "1"},
                {"memory": "1Gi"},
                {"nvidia.com/gpumem": "3000"},
                {},
            )
        ),
        "requests": st.sampled_from(({"cpu": "500m"}, {"rdma/hca": "1"}, {})),
        "claims": st.sampled_from(([{"name": "gpu"}], [{"name": "h100-dra", "request": "x"}])),
    }
)
members = _some(
    {
        "resources": resources,
        "env": st.lists(
            st.sampled_from(
                (
                    {"name": "TEAM", "value": "mine"},
                    {"name": "MLFLOW_EXPERIMENT_NAME", "value": "mine"},
                    {"name": "TEAM", "value": "ml"},
                )
            ),
            max_size=2,
            unique_by=lambda one: one["name"],
        ),
        "volumeMounts": st.lists(
            st.sampled_from(
                (
                    {"name": "mine", "mountPath": "/data"},
                    {"name": "mine", "mountPath": "/dev/shm/", "x-unknown": 1},  # noqa: S108 -- a path in a pod
                    {"name": "mine", "mountPath": "/other"},
                    {"name": "ml-disk", "mountPath": "/other"},
                )
            ),
            max_size=2,
            unique_by=lambda one: one["mountPath"],
        ),
        "securityContext": st.sampled_from(({"runAsUser": 0}, {"privileged": True}, {})),
        "x-unknown": st.sampled_from(({"deep": [1, 2.5, None, {"a": "b"}]}, None, "text")),
    }
)


@st.composite
def pod_specs(draw: st.DrawFn) -> Manifest:
    """Generate the spec of a pod that an API server takes (and fields it doesn't know)."""
    names = ["main", "second", "agent"][: draw(st.integers(1, 3))]
    spec: Manifest = {"containers": [builders.container(name, **draw(members)) for name in names]}
    if draw(st.booleans()):
        setup = builders.container("setup", **draw(members))
        if draw(st.booleans()):
            setup["restartPolicy"] = "Always"
        spec["initContainers"] = [setup]
    spec |= draw(
        _some(
            {
                "volumes": st.sampled_from(
                    (
                        [{"name": "mine", "emptyDir": {}}],
                        [{"name": "mine", "emptyDir": {}}, {"name": "dshm", "emptyDir": {}}],
                        [{"name": "ml-imagenet", "hostPath": {"path": "/x"}}],
                        [{"name": "mine", "emptyDir": {}}, {"name": "ml-disk", "emptyDir": {}}],
                        [],
                    )
                ),
                "tolerations": st.sampled_from(
                    ([{"operator": "Exists"}], [{"key": "team", "value": "x"}], [])
                ),
                "nodeSelector": st.sampled_from(
                    ({"pool": "mine"}, {"nvidia.com/gpu.product": "NVIDIA-L4"}, {})
                ),
                "affinity": st.sampled_from(
                    (
                        {},
                        {"podAntiAffinity": None},
                        {
                            "nodeAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": {
                                    "nodeSelectorTerms": [
                                        {"matchFields": [{"key": "n", "operator": "Exists"}]},
                                        {
                                            "matchExpressions": [
                                                {"key": "spot", "operator": "Exists"}
                                            ]
                                        },
                                    ]
                                }
                            }
                        },
                    )
                ),
                "restartPolicy": st.sampled_from(("Always", "Never", "OnFailure")),
                "os": st.sampled_from(({"name": "linux"}, {"name": "windows"}, {})),
                "terminationGracePeriodSeconds": st.sampled_from((30, 60)),
                "topologySpreadConstraints": st.just(
                    [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]
                ),
                "schedulerName": st.sampled_from(("default-scheduler", "mine")),
                "priorityClassName": st.just("mine"),
                "serviceAccountName": st.sampled_from(("default", "mine")),
                "securityContext": st.sampled_from(({"runAsNonRoot": False}, {}, None)),
                "shareProcessNamespace": st.booleans(),
                "x-unknown": st.just({"kept": ["as", "it", "is"]}),
                "resourceClaims": st.sampled_from(
                    (
                        [],
                        [{"name": "gpu", "resourceClaimTemplateName": "kubectl-ml-h100.dra-2"}],
                        [{"name": "h100-dra", "resourceClaimName": "mine"}],
                    )
                ),
            }
        )
    )
    return spec


@st.composite
def pods(draw: st.DrawFn, *, carried: bool = False) -> Manifest:
    """Generate a pod; `carried`: as it is in a template, where some intents are used up."""
    annotations = draw(wanted(carried=False)) if draw(st.booleans()) or not carried else {}
    annotations |= draw(
        _some(
            {
                "dapr.io/app-id": st.just("mine"),
                "dapr.io/enabled": st.sampled_from(("true", "no")),
                "dapr.io/enable-native-sidecar": st.sampled_from(("true", "false")),
                "kubectl.kubernetes.io/default-container": st.sampled_from(("second", "nope")),
                "autoscaling.knative.dev/maxScale": st.just("1"),
                "note": st.just("mine"),
            }
        )
    )
    labels = draw(
        st.sampled_from(({}, {"app": "bert"}, {"cost": "mine"}, {"pod-template-hash": "5d9c"}))
    )
    owner = None
    if not carried and draw(st.booleans()):
        owner = builders.controlled_by("ReplicaSet", "apps/v1", "bert-5d9c7b8f4")
    return builders.pod(annotations=annotations, labels=labels, owner=owner, spec=draw(pod_specs()))


@st.composite
def workloads(draw: st.DrawFn) -> Manifest:
    """Generate a workload of any kind with intents of its own and of its template."""
    kind = draw(st.sampled_from(sorted(builders.KINDS)))
    template = draw(pods(carried=True))
    labels = draw(st.sampled_from(({}, {}, {"kueue.x-k8s.io/queue-name": "mine"})))
    return builders.workload(kind, template, annotations=draw(wanted()), labels=labels)


def objects() -> st.SearchStrategy[Manifest]:
    return pods() | workloads()


# What may be written empty or as null where something is added.
_EMPTY: dict[str, tuple[tuple[str, Any], ...]] = {
    "metadata": (("annotations", {}), ("annotations", None), ("labels", {}), ("labels", None)),
    "spec": (
        *(("volumes", []), ("volumes", None), ("tolerations", None), ("nodeSelector", {})),
        *(("nodeSelector", {"pool": None}), ("affinity", None), ("imagePullSecrets", [])),
        *(("affinity", {"nodeAffinity": {}}), ("affinity", {"nodeAffinity": None})),
        *(("initContainers", []), ("initContainers", None), ("securityContext", {})),
        *(("securityContext", None), ("schedulerName", None), ("priorityClassName", None)),
        *(("topologySpreadConstraints", []), ("serviceAccountName", None)),
        *(("resourceClaims", None), ("suspend", None), ("runPolicy", {}), ("runPolicy", None)),
        *(("trainer", {}), ("trainer", None), ("trainer", {"env": []}), ("runtimePatches", [])),
        *(("runtimePatches", None), ("terminationGracePeriodSeconds", None)),
        *(("priority", 0), ("priority", 5)),
    ),
    "containers": (
        *(("env", []), ("env", None), ("resources", {}), ("resources", None)),
        *(("resources", {"limits": {}}), ("resources", {"limits": None, "requests": {}})),
        *(("resources", {"limits": {"nvidia.com/gpu": None}}), ("volumeMounts", [])),
        *(("volumeMounts", None), ("envFrom", None), ("envFrom", []), ("securityContext", {})),
        *(("securityContext", None), ("resources", {"claims": []})),
    ),
}
# What an API server writes where nothing was, in part or in whole.
_DEFAULTS: dict[str, Manifest] = {
    "metadata": {"uid": "1"},
    "spec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "serviceAccountName": "default",
        "completionMode": "NonIndexed",
        "suspend": False,
    },
    "containers": {
        "imagePullPolicy": "Always",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
    },
}


@st.composite
def sparse(draw: st.DrawFn, whole: st.SearchStrategy[Manifest]) -> Manifest:
    """Write empty maps and lists, nulls and the API server's defaults where something may come."""
    obj = copy.deepcopy(draw(whole))
    defaulted = draw(st.sampled_from((0, 1, 2)))  # not, wholly, in part
    for name, node in list(_nodes(obj)):
        for key, value in draw(st.lists(st.sampled_from(_EMPTY[name]), max_size=3)):
            if not node.get(key):
                node[key] = copy.deepcopy(value)
        for key, value in _DEFAULTS[name].items() if defaulted else ():
            if key in ("completionMode", "suspend") and "containers" in node:
                continue  # a Job's
            if defaulted == 1 or draw(st.booleans()):
                node.setdefault(key, copy.deepcopy(value))
    return obj


def _nodes(node: Any, name: str = "") -> Iterator[tuple[str, Manifest]]:
    """Find the metadata, the specs and the containers of an object, at any depth."""
    if isinstance(node, dict):
        if name in _EMPTY:
            yield name, node
        for key, value in list(node.items()):
            yield from _nodes(value, key)
    elif isinstance(node, list):
        inner = "containers" if name in ("containers", "initContainers") else ""
        for one in node:
            yield from _nodes(one, inner)


@st.composite
def policies(draw: st.DrawFn, *, override: bool = True) -> str:
    """Generate policies as YAML: the sources, and up to three InjectionPolicies."""
    found = [SOURCES]
    modes = CONFLICTS if override else ("Keep", "Deny")
    for number, addition in enumerate(draw(st.lists(st.sampled_from(ADDITIONS), max_size=3))):
        conflict = draw(st.sampled_from(modes))
        more = draw(
            st.sampled_from(
                (
                    "",
                    "",
                    ", match: {kinds: [Pod, Deployment.apps, Job.batch, DaemonSet.apps]}",
                    ", match: {kinds: [Service.serving.knative.dev,"
                    " InferenceService.serving.kserve.io]}",
                    ", match: {intents: [accelerator]}",
                    ", optIn: true",
                    ", mode: Preview",
                )
            )
        )
        name = "debug" if "optIn" in more else f"p{number}"
        found.append(
            f"kind: InjectionPolicy\nmetadata: {{name: {name}-{number}}}\n"
            f"spec: {{onConflict: {conflict}, inject: {addition}{more}}}\n"
        )
    return "---\n".join(found)


facts = st.sampled_from(
    (
        Facts(),
        Facts(kube_version=(1, 28)),
        Facts(kube_version=(1, 34)),
        Facts(installed=frozenset({"volcano"})),
        Facts(installed=frozenset({"volcano", "dra"})),
        Facts(installed=frozenset({"kai", "dra"})),
        Facts(installed=frozenset()),
    )
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(("main", "/data", "Always", "kubectl-ml.io/accelerator", "a100:2"))
)
names = st.text(max_size=6) | st.sampled_from(
    ("name", "metadata", "spec", "template", "containers", "annotations", "labels", "env")
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def broken(draw: st.DrawFn, whole: st.SearchStrategy[Any]) -> Any:
    """Put anything at up to three places of an object."""
    obj = copy.deepcopy(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        obj = _break(draw, obj)
    return obj


def _break(draw: st.DrawFn, obj: Any) -> Any:
    node, parent, step = obj, None, None
    for _ in range(draw(st.integers(1, 9))):
        if isinstance(node, dict) and node:
            steps: list[Any] = sorted(node)
        elif isinstance(node, list) and node:
            steps = list(range(len(node)))
        else:
            break
        parent, step = node, draw(st.sampled_from(steps))
        node = parent[step]
    if parent is None:
        return draw(anything)
    parent[step] = draw(anything)
    return obj
