"""Policy files become values, and every fault of every file becomes one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import load, manifests
from policies.errors import InvalidPolicies
from policies.model import (
    Accelerator,
    DataSource,
    Inject,
    InjectionPolicy,
    LabelSelector,
    Match,
    NamespaceMatch,
    PolicySet,
    Sidecar,
    Subjects,
)

# The example of the objects as the design's page gives it: without an apiVersion, in flow style.
PAGE = """
kind: Accelerator
metadata: {name: a100}
spec: {resource: nvidia.com/gpu, memory: 80Gi, nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}, tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}], shm: 16Gi, maxPerPod: 8, weight: 1}
---
kind: DataSource
metadata: {name: imagenet}
spec: {s3: {bucket: datasets, prefix: imagenet/v3}, fetch: Init, readOnly: true, secretName: s3}
---
kind: InjectionPolicy
metadata: {name: logs}
spec:
  match: {kinds: [Pod], namespaces: {names: [ml-*]}}
  inject:
    sidecars: [{offered: true, container: {name: logs, image: fluent/fluent-bit:3.1}}]   # offered
    env: [{name: TEAM, value: ml}]
"""  # noqa: E501 -- as it stands there


def policies(text: str) -> PolicySet:
    return load.policy_set(
        load.Document(file="a.yaml", number=number, value=value)
        for number, value in enumerate(manifests.documents(text), 1)
        if value is not None
    )


def parts(policies: PolicySet) -> tuple[Any, ...]:
    """Take a set apart, because two sets are equal only if they are one."""
    return policies.accelerators, policies.data_sources, policies.injections


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidPolicies) as caught:
        policies(text)
    return [str(fault) for fault in caught.value.faults]


def inject(**fields: Any) -> Inject:
    spec = {"kind": "InjectionPolicy", "metadata": {"name": "p"}, "spec": {"inject": fields}}
    document = load.Document(file="a.yaml", number=1, value=spec)
    return load.policy_set([document]).injections[0].inject


def source(**spec: Any) -> DataSource:
    value = {"kind": "DataSource", "metadata": {"name": "d"}, "spec": spec}
    return load.policy_set([load.Document(file="a.yaml", number=1, value=value)]).data_sources["d"]


def test_reads_the_example_of_the_page() -> None:
    found = policies(PAGE)

    assert parts(found) == parts(
        PolicySet(
            accelerators={
                "a100": Accelerator(
                    name="a100",
                    digest="1d5a2b66",
                    resource="nvidia.com/gpu",
                    memory="80Gi",
                    node_selector={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
                    tolerations=(
                        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                    ),
                    shm="16Gi",
                    max_per_pod=8,
                    weight=1,
                )
            },
            data_sources={
                "imagenet": DataSource(
                    name="imagenet",
                    digest="011248e9",
                    type="s3",
                    parameters={"bucket": "datasets", "prefix": "imagenet/v3"},
                    fetch="Init",
                    read_only=True,
                    secret_name="s3",  # noqa: S106 -- the name of a Secret
                )
            },
            injections=(
                InjectionPolicy(
                    name="logs",
                    digest=found.injections[0].digest,
                    match=Match(kinds=("Pod",), namespaces=NamespaceMatch(names=("ml-*",))),
                    inject=Inject(
                        sidecars=(
                            Sidecar(
                                offered=True,
                                container={"name": "logs", "image": "fluent/fluent-bit:3.1"},
                            ),
                        ),
                        env=({"name": "TEAM", "value": "ml"},),
                    ),
                ),
            ),
        )
    )


def test_reads_every_field_of_an_accelerator() -> None:
    found = policies(
        """
        apiVersion: kubectl-ml.io/v1alpha1
        kind: Accelerator
        metadata: {name: shared.gpu, labels: {a: b}}
        spec:
          deviceClassName: gpu.nvidia.com
          resourceClaimTemplateName: half-a-gpu
          extraResources: {hugepages-2Mi: 1Gi, nvidia.com/gpumem: 8000}
          nodeSelector: {a: [x, x1], b: z}
          tolerations: [{operator: Exists}]
          runtimeClassName: nvidia
          env: [{name: A, value: b}]
          perDevice: {cpu: 8, memory: 64Gi}
          weight: "0.5"
          costPerHour: 2.5
          description: a slice
        """
    )

    accelerator = found.accelerators["shared.gpu"]
    assert accelerator == Accelerator(
        name="shared.gpu",
        digest=accelerator.digest,
        device_class_name="gpu.nvidia.com",
        resource_claim_template_name="half-a-gpu",
        extra_resources={"hugepages-2Mi": "1Gi", "nvidia.com/gpumem": "8000"},
        node_selector={"a": ("x", "x1"), "b": "z"},
        tolerations=({"operator": "Exists"},),
        runtime_class_name="nvidia",
        env=({"name": "A", "value": "b"},),
        per_device={"cpu": "8", "memory": "64Gi"},
        weight=0.5,
        cost_per_hour=2.5,
        description="a slice",
    )


def test_reads_every_member_of_match() -> None:
    found = policies(
        """
        kind: InjectionPolicy
        metadata: {name: p}
        spec:
          match:
            kinds: [Pod, Job.batch, PyTorchJob.kubeflow.org, TFJob.kubeflow.org]
            operations: [CREATE]
            namespaces: {names: [ml-*], selector: {matchLabels: {gpu: "true"}}}
            objects: {matchExpressions: [{key: a, operator: In, values: [b]}]}
            owners: [Job.batch, Node]
            subjects:
              users: [ann]
              groups: [ml]
              serviceAccounts: [ml:default, ml/ci, "system:serviceaccount:ml:cd"]
            intents: [accelerator, kubectl-ml.io/shm]
            exclude: {namespaces: [ml-demo]}
          mode: Preview
          optIn: true
          order: -5
          onConflict: Override
          inject: {}
        """
    )

    (policy,) = found.injections
    assert policy == InjectionPolicy(
        name="p",
        digest=policy.digest,
        match=Match(
            kinds=("Pod", "Job.batch", "PyTorchJob.kubeflow.org", "TFJob.kubeflow.org"),
            operations=("CREATE",),
            namespaces=NamespaceMatch(
                names=("ml-*",), selector=LabelSelector(match_labels={"gpu": "true"})
            ),
            objects=LabelSelector(
                match_expressions=({"key": "a", "operator": "In", "values": ["b"]},)
            ),
            owners=("Job.batch", "Node"),
            subjects=Subjects(
                users=("ann",),
                groups=("ml",),
                service_accounts=("ml:default", "ml:ci", "ml:cd"),
            ),
            intents=("accelerator", "shm"),
            exclude=Match(namespaces=NamespaceMatch(names=("ml-demo",))),
        ),
        mode="Preview",
        opt_in=True,
        order=-5,
        on_conflict="Override",
    )


@pytest.mark.parametrize(
    ("field", "written", "expected"),
    [
        pytest.param("accelerator", "a100:2, rdma", "a100:2,rdma:1", id="devices-as-an-intent"),
        pytest.param("accelerator", ["a100:2", "rdma"], "a100:2,rdma:1", id="devices-in-a-list"),
        pytest.param(
            "accelerator", [{"class": "a100", "count": 2}], "a100:2", id="devices-as-mappings"
        ),
        pytest.param("shm", 1024, "1024", id="shm-as-a-number"),
        pytest.param("mounts", "a:/x:ro, b:/y", ("a:/x:ro", "b:/y"), id="mounts-as-an-intent"),
        pytest.param("mounts", ["a/b@c:/x"], ("a/b@c:/x",), id="mounts-in-a-list"),
        pytest.param(
            "mounts",
            [
                {"source": "s3://b/a,b", "path": "/x", "readOnly": True},
                {"source": "d", "path": "/y", "mode": "rw"},
            ],
            ("s3://b/a%2Cb:/x:ro", "d:/y:rw"),
            id="mounts-as-mappings",
        ),
        pytest.param("dapr", True, {"enabled": "true"}, id="dapr-on"),
        pytest.param("dapr", "true", {"enabled": "true"}, id="dapr-on-in-quotes"),
        pytest.param("dapr", False, None, id="dapr-off"),
        pytest.param(
            "dapr", "app-id=a", {"enabled": "true", "app-id": "a"}, id="dapr-as-an-intent"
        ),
        pytest.param(
            "dapr", {"app-port": 8080}, {"enabled": "true", "app-port": "8080"}, id="dapr-mapping"
        ),
        pytest.param(
            "dapr",
            {"dapr.io/log-as-json": True},
            {"dapr.io/log-as-json": "true"},
            id="dapr-annotations-alone-are-defaults",
        ),
        pytest.param("knative", "min=0,max=5", {"min": "0", "max": "5"}, id="knative-as-scale"),
        pytest.param(
            "knative",
            {"max": 5, "target": 0.5, "autoscaling.knative.dev/activation-scale": 2},
            {"max": "5", "target": "0.5", "autoscaling.knative.dev/activation-scale": "2"},
            id="knative-mapping",
        ),
        pytest.param("mesh", False, {"inject": "false"}, id="mesh-as-a-boolean"),
        pytest.param("mesh", "true", {"inject": "true"}, id="mesh-as-a-string"),
        pytest.param(
            "mesh",
            {"inject": True, "traffic.sidecar.istio.io/excludeInboundPorts": 29500},
            {"inject": "true", "traffic.sidecar.istio.io/excludeInboundPorts": "29500"},
            id="mesh-mapping",
        ),
        pytest.param("labels", {"a": "true", "b.c/D": ""}, {"a": "true", "b.c/D": ""}, id="labels"),
        pytest.param("annotations", {"A.b/c": "d e"}, {"A.b/c": "d e"}, id="annotations"),
        pytest.param(
            "env",
            [{"name": "A B", "value": "c"}],
            ({"name": "A B", "value": "c"},),
            id="variables-whose-names-have-spaces",
        ),
        pytest.param("scrape", True, {"path": "/metrics"}, id="scrape-on"),
        pytest.param(
            "scrape", {"port": 8080}, {"path": "/metrics", "port": "8080"}, id="scrape-a-port"
        ),
        pytest.param(
            "tracking", {"experiment": ["A"]}, {"experiment": ["A"], "env": []}, id="tracking"
        ),
    ],
)
def test_reads_what_is_injected(field: str, written: Any, expected: Any) -> None:
    found = inject(**{field: written})

    assert getattr(found, field) == expected


def test_reads_the_parts_of_core_v1_as_they_stand() -> None:
    container = {"name": "c", "image": "i", "securityContext": {"runAsUser": 5}}
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    sidecar = {
        "container": container,
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }

    found = inject(
        sidecars=[sidecar],
        initContainers=[{**container, "name": "d"}],
        envFrom=[{"configMapRef": {"name": "c"}}],
        nodeSelector={"a": "b"},
        annotations={"a": "b"},
        affinity={"nodeAffinity": {}},
        topologySpread=[spread],
        schedulerName="volcano",
        priorityClassName="high",
        runtimeClassName="nvidia",
        serviceAccountName="ml",
        imagePullSecrets=[{"name": "registry"}],
        securityContext={"fsGroup": 5},
        resources={"requests": {"cpu": 1, "memory": "1Gi"}},
        queue="team-a",
    )

    assert found == Inject(
        sidecars=(
            Sidecar(
                container=container,
                volumes=({"name": "v", "emptyDir": {}},),
                volume_mounts=({"name": "v", "mountPath": "/v"},),
            ),
        ),
        init_containers=({**container, "name": "d"},),
        env_from=({"configMapRef": {"name": "c"}},),
        node_selector={"a": "b"},
        annotations={"a": "b"},
        affinity={"nodeAffinity": {}},
        topology_spread=(spread,),
        scheduler_name="volcano",
        priority_class_name="high",
        runtime_class_name="nvidia",
        service_account_name="ml",
        image_pull_secrets=({"name": "registry"},),
        security_context={"fsGroup": 5},
        resources={"requests": {"cpu": 1, "memory": "1Gi"}},
        queue="team-a",
    )


@pytest.mark.parametrize(
    ("spec", "kind", "parameters"),
    [
        pytest.param({"pvc": "data"}, "pvc", {"claimName": "data"}, id="claim-as-a-string"),
        pytest.param({"pvc": {"name": "data"}}, "pvc", {"claimName": "data"}, id="claim-by-name"),
        pytest.param(
            {"s3": "s3://b/p/q"}, "s3", {"bucket": "b", "prefix": "p/q"}, id="bucket-as-a-uri"
        ),
        pytest.param({"gcs": "b"}, "gcs", {"bucket": "b"}, id="bucket-as-a-string"),
        pytest.param({"hf": "o/m"}, "hf", {"repo": "o/m"}, id="repository-as-a-string"),
        pytest.param({"oci": {"reference": "r/i:1"}}, "oci", {"image": "r/i:1"}, id="reference"),
        pytest.param({"oci": "oci://r/i:1"}, "oci", {"image": "r/i:1"}, id="image-as-a-uri"),
        pytest.param({"fluid": {"name": "d"}}, "fluid", {"dataset": "d"}, id="dataset"),
        pytest.param({"memory": {"size": "1Gi"}}, "memory", {"size": "1Gi"}, id="memory"),
        pytest.param(
            {"nfs": {"server": "s", "path": "/p"}},
            "nfs",
            {"server": "s", "path": "/p"},
            id="nfs",
        ),
        pytest.param({"hostPath": "/data"}, "hostPath", {"path": "/data"}, id="path-as-a-string"),
        pytest.param({"csi": {"driver": "d"}}, "csi", {"driver": "d"}, id="csi"),
    ],
)
def test_reads_each_type_of_source(
    spec: dict[str, Any], kind: str, parameters: dict[str, Any]
) -> None:
    found = source(**spec)

    assert (found.type, found.parameters) == (kind, parameters)


def test_where_a_store_is_reaches_its_client() -> None:
    found = source(
        s3={"bucket": "b", "endpoint": "https://minio", "region": "eu"},
        env=[{"name": "AWS_DEFAULT_REGION", "value": "us"}],
    )

    assert found.env == (
        {"name": "AWS_ENDPOINT_URL", "value": "https://minio"},
        {"name": "AWS_DEFAULT_REGION", "value": "us"},
    )


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"pvc": "c", "readOnly": True}, id="as-a-field-of-the-source"),
        pytest.param({"pvc": {"claimName": "c", "readOnly": True}}, id="as-core-v1-has-it"),
    ],
)
def test_a_source_is_read_only_where_either_field_says_so(spec: dict[str, Any]) -> None:
    assert source(**spec).read_only is True


def test_a_namespaced_source_is_for_its_namespace() -> None:
    found = policies(
        "{kind: NamespacedDataSource, metadata: {name: d, namespace: ml}, spec: {pvc: c}}"
    )

    assert list(found.data_sources) == ["ml/d"]
    assert found.data_sources["ml/d"].namespaces == NamespaceMatch(names=("ml",))


REFUSED = "injected containers pass the restricted Pod Security Standard"


def accelerator(spec: str) -> str:
    return f"{{kind: Accelerator, metadata: {{name: x}}, spec: {spec}}}"


def data_source(spec: str) -> str:
    return f"{{kind: DataSource, metadata: {{name: x}}, spec: {spec}}}"


def policy(spec: str) -> str:
    return f"{{kind: InjectionPolicy, metadata: {{name: x}}, spec: {spec}}}"


def sidecar(security_context: str) -> str:
    container = f"{{name: c, image: i, securityContext: {security_context}}}"
    return policy(f"{{inject: {{sidecars: [{{container: {container}}}]}}}}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            accelerator("{resourse: nvidia.com/gpu, deviceClassName: a}"),
            '(Accelerator x): spec.resourse: unknown field "resourse"; did you mean "resource"?',
            id="unknown-field",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, memory: 80GB}"),
            '(Accelerator x): spec.memory: "80GB" is not a quantity; write for example "80Gi"',
            id="not-a-quantity",
        ),
        pytest.param(
            accelerator("{memory: 80Gi}"),
            "(Accelerator x): spec: one of resource, deviceClassName is missing; add it",
            id="no-resource",
        ),
        pytest.param(
            accelerator("{resource: gpu}"),
            '(Accelerator x): spec.resource: "gpu" is not an extended resource, with its domain; '
            'write for example "nvidia.com/gpu"',
            id="resource-without-a-domain",
        ),
        pytest.param(
            accelerator("{resource: kubernetes.io/gpu}"),
            '(Accelerator x): spec.resource: "kubernetes.io/gpu" is of Kubernetes\' own domain, in '
            "which the API server knows no devices; write what the device plugin registers",
            id="resource-of-kubernetes-itself",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, extraResources: {gpumem: 1}}"),
            '(Accelerator x): spec.extraResources: "gpumem" is not an extended resource, with its '
            'domain, or huge pages; write for example "nvidia.com/gpumem"',
            id="extra-resource-without-a-domain",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, deviceClassName: b}"),
            "(Accelerator x): spec: only one of resource, deviceClassName may be given; keep one",
            id="resource-and-device-class",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, resourceClaimTemplateName: b}"),
            "(Accelerator x): spec.resourceClaimTemplateName: only a class with a deviceClassName "
            "has claims; take it out",
            id="claim-template-without-a-device-class",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, extraResources: {a.b/c: 1}}"),
            '(Accelerator x): spec.extraResources["a.b/c"]: is the resource of the class, whose '
            "amount is the count; take it out",
            id="resource-as-an-extra-one",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, extraResources: {b.c/d: some}}"),
            '(Accelerator x): spec.extraResources["b.c/d"]: "some" is not a quantity; write for '
            'example "80Gi"',
            id="extra-resource-of-some",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, extraResources: {memory: 1Gi}}"),
            '(Accelerator x): spec.extraResources: "memory" is not an extended resource, with its '
            'domain, or huge pages; write for example "nvidia.com/gpumem"',
            id="memory-as-an-extra-resource",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, maxPerPod: 0}"),
            "(Accelerator x): spec.maxPerPod: 0 is too small; write 1 or more",
            id="max-per-pod-of-nothing",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, nodeSelector: {example.com/gpu: 5}}"),
            '(Accelerator x): spec.nodeSelector["example.com/gpu"]: 5 is not a string or a list; '
            'put it in quotes: "5"',
            id="number-as-a-label",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, nodeSelector: {b: yes}}"),
            "(Accelerator x): spec.nodeSelector.b: true is not a string or a list; put it in "
            "quotes (YAML reads y, yes and on as true)",
            id="boolean-as-a-label",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, nodeSelector: {b: []}}"),
            "(Accelerator x): spec.nodeSelector.b: [] is empty; write a value or take it out",
            id="any-of-nothing",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, tolerations: [{effect: noschedule}]}"),
            '(Accelerator x): spec.tolerations[0].effect: "noschedule" is not one of NoSchedule, '
            'PreferNoSchedule, NoExecute; did you mean "NoSchedule"?',
            id="misspelt-effect",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, env: {A: b}}"),
            '(Accelerator x): spec.env: {"A": "b"} is not a list of variables; write for example '
            '[{"name": "TEAM", "value": "ml"}]',
            id="variables-as-a-mapping",
        ),
        pytest.param(
            "{kind: Accelerator, metadata: {name: A100}, spec: {resource: a.b/c}}",
            '(Accelerator A100): metadata.name: "A100" is not a name (lower case letters, digits, '
            '"-" and "."); write for example "team-a"',
            id="name-in-capitals",
        ),
        pytest.param(
            "{kind: Accelerator, spec: {resource: a.b/c}}",
            '(Accelerator): "metadata" is missing; add it',
            id="no-metadata",
        ),
        pytest.param(
            "{kind: Accelerator, metadata: {name: a}}",
            '(Accelerator a): "spec" is missing; add it',
            id="no-spec",
        ),
        pytest.param(
            data_source("{readOnly: true}"),
            "(DataSource x): spec: one of pvc, s3, gcs, hf, oci, fluid, nfs, hostPath, csi, "
            "scratch, memory, configMap, secret is missing; add it",
            id="source-of-nothing",
        ),
        pytest.param(
            data_source("{pvc: a, s3: {bucket: b}}"),
            "(DataSource x): spec: only one of pvc, s3 may be given; keep one",
            id="two-sources",
        ),
        pytest.param(
            data_source("{s3: {prefix: a}}"),
            '(DataSource x): spec.s3: "bucket" is missing (only the library\'s "s3" goes without); '
            "add it",
            id="no-bucket",
        ),
        pytest.param(
            data_source("{nfs: {server: a}}"),
            '(DataSource x): spec.nfs: "path" is missing; add it',
            id="no-path",
        ),
        pytest.param(
            "{kind: NamespacedDataSource, metadata: {name: x}, spec: {pvc: a}}",
            '(NamespacedDataSource x): metadata: "namespace" is missing; add it, or write kind: '
            "DataSource",
            id="no-namespace",
        ),
        pytest.param(
            policy("{inject: {}, match: {conditions: [{name: a, expression: b}]}}"),
            "(InjectionPolicy x): spec.match.conditions[0].expression: line 1, column 1 of `b`: "
            "undeclared reference to 'b' (in container '')",
            id="conditions",
        ),
        pytest.param(
            policy("{inject: {}, match: {exclude: {conditions: ['params.a']}}}"),
            "(InjectionPolicy x): spec.match.exclude.conditions[0]: line 1, column 7 of "
            "`params.a`: undeclared reference to 'params.a' (in container '')",
            id="conditions-of-exclude",
        ),
        pytest.param(
            policy("{inject: {}, match: {intents: [accelerater]}}"),
            '(InjectionPolicy x): spec.match.intents[0]: there is no intent "accelerater"; did you '
            'mean "accelerator"?',
            id="unknown-intent",
        ),
        pytest.param(
            policy("{inject: {}, match: {kinds: [job.batch]}}"),
            '(InjectionPolicy x): spec.match.kinds[0]: "job.batch" is not a kind; write for '
            'example "Job.batch"',
            id="kind-in-small-letters",
        ),
        pytest.param(
            policy("{inject: {}, match: {objects: {team: nlp}}}"),
            '(InjectionPolicy x): spec.match.objects.team: unknown field "team"; known are '
            "matchLabels, matchExpressions",
            id="labels-without-match-labels",
        ),
        pytest.param(
            policy("{inject: {}, match: {subjects: {serviceAccounts: [ci]}}}"),
            '(InjectionPolicy x): spec.match.subjects.serviceAccounts[0]: "ci" does not name a '
            'service account; write "NAMESPACE:NAME"',
            id="service-account-without-namespace",
        ),
        pytest.param(
            policy("{inject: {}, mode: apply}"),
            '(InjectionPolicy x): spec.mode: "apply" is not one of Apply, Preview; did you mean '
            '"Apply"?',
            id="mode-in-small-letters",
        ),
        pytest.param(
            policy("{match: {}}"),
            '(InjectionPolicy x): spec: "inject" is missing; add it',
            id="nothing-to-inject",
        ),
        pytest.param(
            policy("{inject: {accelerator: 'a100:0'}}"),
            '(InjectionPolicy x): spec.inject.accelerator: "a100:0": the count "0" is not a whole '
            "number from 1 to 999",
            id="no-devices",
        ),
        pytest.param(
            policy("{inject: {mounts: [data]}}"),
            '(InjectionPolicy x): spec.inject.mounts: "data": "data" has no path; write '
            '"data:/path"',
            id="mount-without-a-path",
        ),
        pytest.param(
            policy("{inject: {mounts: [{source: a, path: x}]}}"),
            '(InjectionPolicy x): spec.inject.mounts: "a:x": "a:x" has no path; write "a:x:/path"',
            id="relative-mount",
        ),
        pytest.param(
            policy("{inject: {knative: {min: 5, max: 2}}}"),
            '(InjectionPolicy x): spec.inject.knative: "min=5,max=2": max=2 is less than min=5',
            id="maximum-below-minimum",
        ),
        pytest.param(
            policy("{inject: {knative: {minimum: 5}}}"),
            '(InjectionPolicy x): spec.inject.knative.minimum: unknown field "minimum"; did you '
            'mean "min"?',
            id="unknown-scale",
        ),
        pytest.param(
            policy("{inject: {env: [{name: A, value: 1}]}}"),
            "(InjectionPolicy x): spec.inject.env[0].value: 1 is not a string; put it in quotes: "
            '"1"',
            id="number-as-a-variable",
        ),
        pytest.param(
            policy("{inject: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}}"),
            "(InjectionPolicy x): spec.inject.resources.limits.memory: 1Gi is less than the "
            "request, 2Gi; raise it or lower the request",
            id="limit-below-its-request",
        ),
        pytest.param(
            policy(
                "{inject: {sidecars: [{container: {name: c, image: i, "
                "resources: {requests: {cpu: 1}, limits: {cpu: 500m}}}}]}}"
            ),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.resources.limits.cpu: 500m is "
            "less than the request, 1; raise it or lower the request",
            id="limit-of-a-sidecar-below-its-request",
        ),
        pytest.param(
            "kind: DataSource\nmetadata: {name: x}\nspec: {s3: {bucket: b}, "
            "resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}",
            "(DataSource x): spec.resources.limits.memory: 1Gi is less than the request, 2Gi; "
            "raise it or lower the request",
            id="limit-of-what-fetches-below-its-request",
        ),
        pytest.param(
            policy("{inject: {sidecars: [{container: {name: c, image: i, restartPolicy: A}}]}}"),
            '(InjectionPolicy x): spec.inject.sidecars[0].container.restartPolicy: "A" is refused:'
            ' only a native sidecar has one; write "Always" or take it out',
            id="restart-policy-of-a-sidecar",
        ),
        pytest.param(
            policy(
                "{inject: {initContainers: [{name: c, image: i, startupProbe: {grpc: {port: 1}}}]}}"
            ),
            "(InjectionPolicy x): spec.inject.initContainers[0].startupProbe: an init container "
            "that ends has none; take it out, or write restartPolicy: Always beside it",
            id="probe-of-an-init-container",
        ),
        pytest.param(
            policy('{inject: {env: [{name: A, value: "$(B)"}, {name: B, value: b}]}}'),
            '(InjectionPolicy x): spec.inject.env[0].value: "$(B)" refers to B, which is set after '
            "it; write B above A",
            id="reference-to-what-comes-later",
        ),
        pytest.param(
            policy("{inject: {scrape: {port: 70000}}}"),
            '(InjectionPolicy x): spec.inject.scrape: port "70000" is neither a port from 1 to '
            "65535 nor the name of one",
            id="port-to-scrape",
        ),
        pytest.param(
            policy("{inject: {scrape: {port: metrics, name: metrics}}}"),
            '(InjectionPolicy x): spec.inject.scrape: name "metrics" is for a port by its number; '
            "write that",
            id="name-of-a-named-port",
        ),
        pytest.param(
            policy("{inject: {scrape: {path: metrics}}}"),
            '(InjectionPolicy x): spec.inject.scrape: path "metrics" is not a path; write it from '
            '"/"',
            id="path-to-scrape",
        ),
        pytest.param(
            policy("{inject: {terminationGracePeriodSeconds: 0}}"),
            "(InjectionPolicy x): spec.inject.terminationGracePeriodSeconds: 0 is too small; write "
            "1 or more",
            id="grace-period",
        ),
        pytest.param(
            policy("{inject: {sidecars: [{container: {name: c}}]}}"),
            '(InjectionPolicy x): spec.inject.sidecars[0].container: "image" is missing; add it',
            id="container-without-an-image",
        ),
        pytest.param(
            policy("{inject: {labels: {bad key!: v}}}"),
            '(InjectionPolicy x): spec.inject.labels: "bad key!" is not the key of a label; write '
            'for example "example.com/team"',
            id="key-of-a-label",
        ),
        pytest.param(
            policy("{inject: {annotations: {a/b/c: v}}}"),
            '(InjectionPolicy x): spec.inject.annotations: "a/b/c" is not the key of an '
            'annotation; write for example "example.com/team"',
            id="key-of-an-annotation",
        ),
        pytest.param(
            policy("{inject: {nodeSelector: {-a: v}}}"),
            '(InjectionPolicy x): spec.inject.nodeSelector: "-a" is not the key of a label; write '
            'for example "example.com/team"',
            id="key-of-a-node-selector",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, nodeSelector: {A.com/b: v}}"),
            '(Accelerator x): spec.nodeSelector: "A.com/b" is not the key of a label; write for '
            'example "example.com/team"',
            id="key-of-a-class",
        ),
        pytest.param(
            policy("{inject: {nodeSelector: {a: b c}}}"),
            '(InjectionPolicy x): spec.inject.nodeSelector.a: "b c" is not the value of a label; '
            'write for example "true"',
            id="value-of-a-node-selector",
        ),
        pytest.param(
            policy("{inject: {labels: {a: on}}}"),
            "(InjectionPolicy x): spec.inject.labels.a: true is not a string; put it in quotes "
            "(YAML reads y, yes and on as true)",
            id="boolean-as-an-injected-label",
        ),
        pytest.param(
            policy("{inject: {labels: {a: 5}}}"),
            '(InjectionPolicy x): spec.inject.labels.a: 5 is not a string; put it in quotes: "5"',
            id="number-as-an-injected-label",
        ),
        pytest.param(
            policy("{inject: {annotations: {a: off}}}"),
            "(InjectionPolicy x): spec.inject.annotations.a: false is not a string; put it in "
            "quotes (YAML reads n, no and off as false)",
            id="boolean-as-an-annotation",
        ),
        pytest.param(
            policy("{inject: {nodeSelector: {a: yes}}}"),
            "(InjectionPolicy x): spec.inject.nodeSelector.a: true is not a string; put it in "
            "quotes (YAML reads y, yes and on as true)",
            id="boolean-in-a-node-selector",
        ),
        pytest.param(
            policy("{inject: {}, match: {objects: {matchLabels: {a: yes}}}}"),
            "(InjectionPolicy x): spec.match.objects.matchLabels.a: true is not a string; put it "
            "in quotes (YAML reads y, yes and on as true)",
            id="boolean-in-match-labels",
        ),
        pytest.param(
            policy("{inject: {}, match: {namespaces: {selector: {matchLabels: {a b: c}}}}}"),
            '(InjectionPolicy x): spec.match.namespaces.selector.matchLabels: "a b" is not the '
            'key of a label; write for example "example.com/team"',
            id="key-in-match-labels",
        ),
        pytest.param(
            policy(
                "{inject: {}, match: {objects: {matchExpressions: [{key: a b, operator: Exists}]}}}"
            ),
            '(InjectionPolicy x): spec.match.objects.matchExpressions[0].key: "a b" is not the '
            'key of a label; write for example "example.com/team"',
            id="key-in-match-expressions",
        ),
        pytest.param(
            policy(
                "{inject: {}, match: {objects: {matchExpressions: "
                "[{key: a, operator: In, values: [b c]}]}}}"
            ),
            '(InjectionPolicy x): spec.match.objects.matchExpressions[0].values[0]: "b c" is not '
            'the value of a label; write for example "true"',
            id="value-in-match-expressions",
        ),
        pytest.param(
            policy("{inject: {}, match: {objects: {matchExpressions: [{key: a, operator: In}]}}}"),
            '(InjectionPolicy x): spec.match.objects.matchExpressions[0]: "values" is missing; '
            "add it",
            id="in-nothing",
        ),
        pytest.param(
            policy("{inject: {tolerations: [{key: a b, operator: Exists}]}}"),
            '(InjectionPolicy x): spec.inject.tolerations[0].key: "a b" is not the key of a taint; '
            'write for example "nvidia.com/gpu"',
            id="key-of-a-taint",
        ),
        pytest.param(
            policy("{inject: {env: [{name: A=B, value: c}]}}"),
            '(InjectionPolicy x): spec.inject.env[0].name: "A=B" is not the name of a variable '
            '(printable ASCII without "="); write for example "TEAM"',
            id="name-of-a-variable",
        ),
        pytest.param(
            policy("{inject: {tracking: {experiment: [É]}}}"),
            '(InjectionPolicy x): spec.inject.tracking.experiment[0]: "É" is not the name of a '
            'variable (printable ASCII without "="); write for example "TEAM"',
            id="name-of-a-tracked-variable",
        ),
        pytest.param(
            policy("{inject: {env: [{name: Z, value: a}, {name: X}, {name: Z, value: b}]}}"),
            '(InjectionPolicy x): spec.inject.env[2].name: "Z" is also the name of env[0]; keep '
            "one",
            id="variable-twice",
        ),
        pytest.param(
            policy("{inject: {tracking: {env: [{name: Z, value: a}, {name: Z, value: b}]}}}"),
            '(InjectionPolicy x): spec.inject.tracking.env[1].name: "Z" is also the name of '
            "tracking.env[0]; keep one",
            id="tracked-variable-twice",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, env: [{name: Z, value: a}, {name: Z, value: a}]}"),
            '(Accelerator x): spec.env[1].name: "Z" is also the name of env[0]; keep one',
            id="variable-of-a-class-twice",
        ),
        pytest.param(
            data_source("{pvc: a, env: [{name: Z, value: a}, {name: Z, value: a}]}"),
            '(DataSource x): spec.env[1].name: "Z" is also the name of env[0]; keep one',
            id="variable-of-a-source-twice",
        ),
        pytest.param(
            policy(
                "{inject: {sidecars: [{container: {name: c, image: i}}], "
                "initContainers: [{name: c, image: j}]}}"
            ),
            '(InjectionPolicy x): spec.inject.initContainers[0].name: "c" is also the name of '
            "sidecars[0].container; keep one",
            id="container-twice",
        ),
        pytest.param(
            policy(
                "{inject: {sidecars: [{container: {name: c, image: i}, "
                "volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]}]}}"
            ),
            '(InjectionPolicy x): spec.inject.sidecars[0].volumes[1].name: "v" is also the name of '
            "sidecars[0].volumes[0]; keep one",
            id="volume-twice",
        ),
        pytest.param(
            policy(
                "{inject: {sidecars: [{container: {name: c, image: i}, volumeMounts: "
                "[{name: v, mountPath: /a}, {name: w, mountPath: /a}]}]}}"
            ),
            '(InjectionPolicy x): spec.inject.sidecars[0].volumeMounts[1].mountPath: "/a" is also '
            "the mountPath of sidecars[0].volumeMounts[0]; keep one",
            id="path-twice",
        ),
        pytest.param(
            policy(
                "{inject: {initContainers: [{name: c, image: i, volumeMounts: "
                "[{name: v, mountPath: /a}, {name: v, mountPath: /a}]}]}}"
            ),
            '(InjectionPolicy x): spec.inject.initContainers[0].volumeMounts[1].mountPath: "/a" is '
            "also the mountPath of initContainers[0].volumeMounts[0]; keep one",
            id="path-of-a-container-twice",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, shm: -1Gi}"),
            '(Accelerator x): spec.shm: "-1Gi" is not 0 or more; write for example "1"',
            id="negative-shared-memory",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, memory: 0Gi}"),
            '(Accelerator x): spec.memory: "0Gi" is not more than 0; write for example "8Gi"',
            id="device-without-memory",
        ),
        pytest.param(
            accelerator("{resource: a.b/c, memory: 0}"),
            "(Accelerator x): spec.memory: 0 is too small; write more than 0",
            id="device-without-memory-as-a-number",
        ),
        pytest.param(
            policy("{inject: {shm: '0.0e3'}}"),
            '(InjectionPolicy x): spec.inject.shm: "0.0e3" is not more than 0; write for example '
            '"8Gi"',
            id="no-shared-memory",
        ),
        pytest.param(
            data_source("{memory: {size: -5}}"),
            "(DataSource x): spec.memory.size: -5 is too small; write more than 0",
            id="negative-memory",
        ),
        pytest.param(
            policy("{inject: {resources: {requests: {cpu: '-1'}}}}"),
            '(InjectionPolicy x): spec.inject.resources.requests.cpu: "-1" is not 0 or more; write '
            'for example "1"',
            id="negative-request",
        ),
        pytest.param(
            policy("{inject: {}, match: {kinds: [Pods]}}"),
            '(InjectionPolicy x): spec.match.kinds[0]: "Pods" is not a kind with its group; did '
            'you mean "Pod"?',
            id="plural-of-a-kind",
        ),
        pytest.param(
            policy("{inject: {}, match: {kinds: [Pod, Job]}}"),
            '(InjectionPolicy x): spec.match.kinds[1]: "Job" is not a kind with its group; write '
            '"Job.batch" or "Job.batch.volcano.sh"',
            id="kind-without-its-group",
        ),
        pytest.param(
            policy("{inject: {}, match: {kinds: [Mainframe]}}"),
            '(InjectionPolicy x): spec.match.kinds[0]: "Mainframe" is not a kind with its group; '
            'write KIND.GROUP, such as "Job.batch"',
            id="unknown-kind-without-its-group",
        ),
        pytest.param(
            policy("{inject: {}, match: {owners: [Ray.io]}}"),
            '(InjectionPolicy x): spec.match.owners[0]: "Ray.io": there is no group "io"; write '
            'KIND.GROUP, such as "Job.batch"',
            id="no-such-group",
        ),
        pytest.param(
            policy("{inject: {}, match: {exclude: {kinds: [Jobs.batch]}}}"),
            '(InjectionPolicy x): spec.match.exclude.kinds[0]: "Jobs.batch": there is no such '
            'kind; did you mean "Job.batch"?',
            id="plural-of-a-kind-with-its-group",
        ),
        pytest.param(
            policy("{inject: {}, match: {kinds: [PytorchJob.kubeflow.org]}}"),
            '(InjectionPolicy x): spec.match.kinds[0]: "PytorchJob.kubeflow.org": there is no such '
            'kind; did you mean "PyTorchJob.kubeflow.org"?',
            id="kind-in-other-capitals",
        ),
        pytest.param(
            sidecar("{privileged: true}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext.privileged: "
            f"true is refused: {REFUSED}; take it out",
            id="privileged",
        ),
        pytest.param(
            sidecar("{runAsUser: 0}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext.runAsUser: "
            f"0 is refused: {REFUSED}; write the number of another user, such as 65532",
            id="root",
        ),
        pytest.param(
            sidecar("{runAsNonRoot: false}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext.runAsNonRoot: "
            f"false is refused: {REFUSED}; write true",
            id="perhaps-root",
        ),
        pytest.param(
            sidecar("{allowPrivilegeEscalation: true}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext."
            f"allowPrivilegeEscalation: true is refused: {REFUSED}; write false",
            id="privilege-escalation",
        ),
        pytest.param(
            sidecar("{capabilities: {add: [NET_BIND_SERVICE, SYS_ADMIN]}}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext.capabilities."
            f'add[1]: "SYS_ADMIN" is refused: {REFUSED}; only "NET_BIND_SERVICE" may be added',
            id="capability",
        ),
        pytest.param(
            sidecar("{seccompProfile: {type: Unconfined}}"),
            "(InjectionPolicy x): spec.inject.sidecars[0].container.securityContext."
            f'seccompProfile.type: "Unconfined" is refused: {REFUSED}; write "RuntimeDefault"',
            id="unconfined",
        ),
        pytest.param(
            policy(
                "{inject: {initContainers: [{name: c, image: i, ports: "
                "[{containerPort: 80, hostPort: 80}]}]}}"
            ),
            "(InjectionPolicy x): spec.inject.initContainers[0].ports[0].hostPort: 80 is refused: "
            f"{REFUSED}; take it out",
            id="host-port",
        ),
        pytest.param(
            "{apiVersion: kubectl-ml.io/v1, kind: Accelerator, metadata: {name: x}}",
            '(Accelerator x): apiVersion: "kubectl-ml.io/v1" is not known; write '
            '"kubectl-ml.io/v1alpha1"',
            id="wrong-version",
        ),
        pytest.param(
            "{apiVersion: kubectl-ml/v1alpha1, kind: Accelerator, metadata: {name: x}}",
            '(Accelerator x): apiVersion: "kubectl-ml/v1alpha1" is not known; write '
            '"kubectl-ml.io/v1alpha1"',
            id="misspelt-group",
        ),
        pytest.param(
            "{apiVersion: kubectl-ml.io/v1alpha1, kind: Acelerator, metadata: {name: x}}",
            '(Acelerator x): kind: there is no kind "Acelerator"; did you mean "Accelerator"?',
            id="unknown-kind",
        ),
        pytest.param(
            "{apiVersion: kubectl-ml.io/v1alpha1, kind: QuotaPolicy, metadata: {name: x}, "
            "spec: {}}",
            "(QuotaPolicy x): spec: there is nothing that it bounds; add a budget or perWorkload",
            id="quota-without-a-budget",
        ),
        pytest.param(
            "{metadata: {name: x}}",
            '(x): kind: "kind" is missing; write one of Accelerator, DataSource, '
            "NamespacedDataSource, InjectionPolicy, WorkloadKind, GuardPolicy, "
            "PolicyException, QuotaPolicy",
            id="no-kind",
        ),
        pytest.param(
            "{kind: ConfigMap}",
            '(ConfigMap): apiVersion: "apiVersion" is missing; add it',
            id="no-version",
        ),
        pytest.param(
            "{kind: Accelerator, metadata: {name: a}, spec: }",
            "(Accelerator a): spec: null is not a mapping",
            id="empty-spec",
        ),
        pytest.param(
            "{kind: DataSource, metadata: 1, spec: {pvc: a}}",
            "(DataSource): metadata: 1 is not a mapping",
            id="metadata-as-a-number",
        ),
        pytest.param("[]", ": this is not a mapping; write an object with a kind", id="list"),
    ],
)
def test_says_what_is_wrong_and_how_to_mend_it(text: str, sentence: str) -> None:
    space = "" if sentence.startswith(":") else " "

    assert faults(text) == [f"a.yaml: document 1{space}{sentence}"]


def test_says_every_fault_of_every_file_at_once(tmp_path: Path) -> None:
    one, two, three = tmp_path / "1.yaml", tmp_path / "2.yml", tmp_path / "3.json"
    one.write_text(
        "# words only\n---\n"
        + accelerator("{resource: a.b/c, memory: x}")
        + "\n---\n"
        + policy("{inject: {shm: x, mounts: d}}")
    )
    two.write_text("a: [")
    three.write_text('{"kind": "QuotaPolicy"}')

    with pytest.raises(InvalidPolicies) as caught:
        load.read([tmp_path, tmp_path / "none"], library=False)

    assert str(caught.value).splitlines() == [
        f"{tmp_path}/none: there is no such file or directory; check the path",
        f"{two}: line 2: did not find expected node content; this is not YAML that can be read",
        f'{one}: document 1 (Accelerator x): spec.memory: "x" is not a quantity; write for '
        'example "80Gi"',
        f'{one}: document 2 (InjectionPolicy x): spec.inject.shm: "x" is not a quantity; write '
        'for example "80Gi"',
        f'{one}: document 2 (InjectionPolicy x): spec.inject.mounts: "d": "d" has no path; write '
        '"d:/path"',
        f'{three}: document 1 (QuotaPolicy): "metadata" is missing; add it',
        f'{three}: document 1 (QuotaPolicy): "spec" is missing; add it',
    ]


def test_one_name_twice_names_both_files(tmp_path: Path) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text(accelerator("{resource: a.b/c}"))
    two.write_text(accelerator("{resource: a.b/c}") + "\n---\n" + data_source("{pvc: x}"))

    with pytest.raises(InvalidPolicies) as caught:
        load.read([one, two])

    assert str(caught.value) == (
        f"{two}: document 1 (Accelerator x): metadata.name: Accelerator x is also in {one}, "
        "document 1; keep one"
    )


def test_objects_of_other_tools_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n"
    )
    (tmp_path / "README.md").write_text("a: [")
    (tmp_path / ".hidden.yaml").write_text("a: [")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.yaml").write_text(PAGE)

    assert parts(load.read([tmp_path], library=False)) == parts(policies(PAGE))


def test_lists_are_taken_apart() -> None:
    items = "\n---\n".join([accelerator("{resource: a.b/c}"), data_source("{pvc: x}")])
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests.documents(items)}

    found = policies(manifests.dump(listed))

    assert parts(found) == parts(policies(items))


def mounted(directory: Path, text: str, *, revision: str) -> None:
    """Write a file as the kubelet mounts a ConfigMap."""
    (directory / f"..{revision}").mkdir(parents=True)
    (directory / f"..{revision}" / "a.yaml").write_text(text)
    (directory / "..data_tmp").symlink_to(f"..{revision}")
    (directory / "..data_tmp").replace(directory / "..data")
    if not (directory / "a.yaml").is_symlink():
        (directory / "a.yaml").symlink_to("..data/a.yaml")


def test_a_mounted_config_map_is_read_once_and_seen_to_change(tmp_path: Path) -> None:
    mounted(tmp_path, accelerator("{resource: a.b/c}"), revision="1")
    before = load.fingerprint([tmp_path])
    first = load.read([tmp_path, tmp_path / "a.yaml"], library=False)

    mounted(tmp_path, accelerator("{resource: a.b/d}"), revision="2")

    assert first.accelerators["x"].resource == "a.b/c"
    assert load.read([tmp_path], library=False).accelerators["x"].resource == "a.b/d"
    assert load.fingerprint([tmp_path]) != before


def test_the_fingerprint_tells_changes_from_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    first = load.fingerprint([tmp_path])

    again = load.fingerprint([tmp_path])
    (tmp_path / "b.yaml").write_text("b")
    added = load.fingerprint([tmp_path])
    (tmp_path / "a.yaml").unlink()
    removed = load.fingerprint([tmp_path])

    assert first == again
    assert len({first, added, removed}) == 3


def test_links_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PAGE)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "lost.yaml").symlink_to("nowhere")

    assert parts(load.read([tmp_path], library=False)) == parts(policies(PAGE))


def test_an_object_replaces_the_librarys(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PAGE)

    found, library = load.read([tmp_path]), load.library()

    assert found.accelerators["a100"].memory == "80Gi"
    assert {**found.accelerators, "a100": None} == {**library.accelerators, "a100": None}
    assert set(found.data_sources) == {*library.data_sources, "imagenet"}
    assert [policy.name for policy in found.injections].count("logs") == 1


def test_policies_are_in_the_order_they_act() -> None:
    written = [("b", 0), ("a", 0), ("z", -1), ("c", 10)]

    found = policies(
        "\n---\n".join(
            f"{{kind: InjectionPolicy, metadata: {{name: {name}}}, "
            f"spec: {{order: {order}, inject: {{}}}}}}"
            for name, order in written
        )
    )

    assert [policy.name for policy in found.injections] == ["z", "a", "b", "c"]


def test_the_digest_is_of_the_content_alone() -> None:
    one = policies("{kind: Accelerator, metadata: {name: a}, spec: {resource: a.b/x, shm: 1Gi}}")
    same = policies("{kind: Accelerator, metadata: {name: b}, spec: {shm: 1Gi, resource: a.b/x}}")
    other = policies("{kind: Accelerator, metadata: {name: a}, spec: {resource: a.b/x, shm: 2Gi}}")

    assert one.accelerators["a"].digest == same.accelerators["b"].digest
    assert one.accelerators["a"].digest != other.accelerators["a"].digest


def test_the_library_starts_without_jsonschema() -> None:
    program = (
        "import sys; from policies import load; load.library(); print('jsonschema' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)  # noqa: S603 -- this Python

    assert done.stdout == b"False\n"


WORDS = st.sampled_from(
    [
        *(
            "spec",
            "metadata",
            "name",
            "match",
            "inject",
            "kinds",
            "namespaces",
            "names",
            "selector",
        ),
        *("mounts", "dapr", "knative", "sidecars", "container", "securityContext", "env", "min"),
        *("accelerator", "tracking", "scrape", "initContainers", "s3", "pvc", "bucket", "resource"),
        *("subjects", "serviceAccounts", "intents", "exclude", "nodeSelector", "tolerations"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)
OBJECTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(load.KINDS)},
    optional={
        "metadata": st.fixed_dictionaries({"name": st.just("x")}) | ANYTHING,
        "spec": st.fixed_dictionaries(
            {}, optional={"match": ANYTHING, "inject": ANYTHING, "s3": ANYTHING, "pvc": ANYTHING}
        )
        | ANYTHING,
    },
)


@given(OBJECTS | ANYTHING)
def test_whatever_is_written_is_read_or_refused(value: Any) -> None:
    refused: tuple[object, ...] = ()

    try:
        found = load.policy_set([load.Document(file="a.yaml", number=1, value=value)])
    except InvalidPolicies as error:
        refused = error.faults
    else:
        assert isinstance(found, PolicySet)

    assert all(str(fault).startswith("a.yaml: document 1") for fault in refused)
