"""What a new pod gets, what refuses it, and what only warns."""

from __future__ import annotations

from typing import Any

import pytest

from policies.model import Facts, Manifest, User, Violation
from tests.builders import (
    KINDS,
    PREFIX,
    at,
    container,
    controlled_by,
    deployment,
    intents,
    job,
    messages,
    mutated,
    pod,
    review,
    workload,
)

OWNED = controlled_by("ReplicaSet", "apps/v1", "bert-5d9c7b8f4")
GPUS = {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}}


def policy(inject: str, name: str = "team", **spec: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in spec.items())
    return f"kind: InjectionPolicy\nmetadata: {{name: {name}}}\nspec: {{inject: {inject}{more}}}\n"


def resources(obj: Manifest, index: int = 0) -> Any:
    return obj["spec"]["containers"][index].get("resources")


def env(obj: Manifest, index: int = 0) -> dict[str, str]:
    return {
        one["name"]: one.get("value", "")
        for one in at(obj, "spec", "containers", index, "env") or ()
    }


# --- who receives -----------------------------------------------------------------------------

THREE = {"containers": [container("main"), container("second"), container("third")]}


@pytest.mark.parametrize(
    ("wanted", "annotations", "receivers"),
    [
        pytest.param({}, {}, ["main"], id="the-first"),
        pytest.param(
            {}, {"kubectl.kubernetes.io/default-container": "third"}, ["third"], id="the-default"
        ),
        pytest.param(
            {}, {"kubectl.kubernetes.io/default-container": "nope"}, ["main"], id="no-such-default"
        ),
        pytest.param({"containers": "second"}, {}, ["second"], id="named"),
        pytest.param(
            {"containers": "third, main"},
            {"kubectl.kubernetes.io/default-container": "second"},
            ["main", "third"],
            id="named-beats-default",
        ),
    ],
)
def test_devices_go_to_the_receiving_containers(
    wanted: dict[str, Any], annotations: dict[str, str], receivers: list[str]
) -> None:
    after = mutated(pod(spec=THREE, annotations=annotations, accelerator="gpu:2", **wanted))

    found = [one["name"] for one in after["spec"]["containers"] if one.get("resources") == GPUS]
    assert found == receivers


def test_an_init_container_receives_when_it_is_named() -> None:
    plain = pod(
        spec={"initContainers": [container("setup")]}, accelerator="gpu", containers="setup"
    )

    after = mutated(plain)

    assert after["spec"]["initContainers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert resources(after) is None


@pytest.mark.parametrize(
    ("owner", "labels", "names", "receiver"),
    [
        pytest.param(
            OWNED,
            {"serving.knative.dev/service": "b"},
            ["sidecar", "user-container"],
            1,
            id="Knative",
        ),
        pytest.param(
            controlled_by("PyTorchJob", "kubeflow.org/v1"),
            {"training.kubeflow.org/replica-type": "worker"},
            ["sidecar", "pytorch"],
            1,
            id="PyTorchJob",
        ),
        pytest.param(
            OWNED,
            {"serving.kserve.io/inferenceservice": "b", "component": "predictor"},
            ["agent", "kserve-container"],
            1,
            id="KServe",
        ),
        pytest.param(
            controlled_by("Job", "batch/v1"),
            {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"},
            ["side", "node"],
            1,
            id="TrainJob",
        ),
    ],
)
def test_the_kinds_primary_container_receives(
    owner: Manifest, labels: dict[str, str], names: list[str], receiver: int
) -> None:
    spec = {"containers": [container(name) for name in names]}

    after = mutated(pod(spec=spec, owner=owner, labels=labels, accelerator="gpu:2"))

    assert resources(after, receiver) == GPUS


# --- values of the user's and of others -------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "expected", "warnings"),
    [
        pytest.param(
            {"limits": {"nvidia.com/gpu": "2"}},
            GPUS,
            (),
            id="an-equal-limit-is-met-and-completed",
        ),
        pytest.param({"limits": {"nvidia.com/gpu": 2}}, None, (), id="a-number-is-a-quantity"),
        pytest.param(
            {"limits": {"nvidia.com/gpu": "1"}},
            {"limits": {"nvidia.com/gpu": "1"}},
            (
                'devices: container "main" asks for nvidia.com/gpu: 1 itself, not 2; '
                "kept as it was written",
            ),
            id="another-count-stays",
        ),
        pytest.param(
            {"limits": {"memory": "8Gi"}},
            {
                "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"},
                "requests": {"nvidia.com/gpu": "2"},
            },
            (),
            id="other-resources-stay",
        ),
    ],
)
def test_what_the_user_asked_for_is_kept(present: Any, expected: Any, warnings: Any) -> None:
    main = container(resources=present)

    decision = review(pod(spec={"containers": [main]}, accelerator="gpu:2"))

    if expected is not None:
        assert resources(decision.object) == expected
    assert decision.warnings == warnings
    assert decision.violations == ()


def test_what_a_class_gives_for_each_device_follows_the_count_that_a_container_asks_for() -> None:
    own = container("own", resources={"limits": {"x.com/h": "1"}})
    given = "kind: Accelerator\nmetadata: {name: h}\nspec: {resource: x.com/h, perDevice: {cpu: 8}}"

    after = mutated(
        pod(spec={"containers": [container(), own]}, accelerator="h:2", containers="main,own"),
        given,
    )

    requests = [resources(after, index)["requests"] for index in (0, 1)]
    assert requests == [{"x.com/h": "2", "cpu": "16"}, {"cpu": "8"}]


LIMIT_RANGER = "kubernetes.io/limit-ranger"


def test_what_limit_ranger_defaulted_gives_way() -> None:
    text = (
        "LimitRanger plugin set: cpu, memory request for container main; "
        "memory limit for container main"
    )
    main = container(
        resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    )
    plain = pod(annotations={LIMIT_RANGER: text}, spec={"containers": [main]})

    after = mutated(plain, policy("{resources: {requests: {cpu: '2', memory: 4Gi}}}"))

    assert resources(after) == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"memory": "4Gi"},
    }


def test_what_the_user_set_beside_limit_ranger_stays() -> None:
    text = "LimitRanger plugin set: cpu request for container main"
    main = container(resources={"requests": {"cpu": "100m", "memory": "1Gi"}})
    plain = pod(annotations={LIMIT_RANGER: text}, spec={"containers": [main]})

    after = mutated(plain, policy("{resources: {requests: {cpu: '2', memory: 4Gi}}}"))

    assert resources(after) == {"requests": {"cpu": "2", "memory": "1Gi"}}


GIB = {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}
BY_LIMIT_RANGER = "LimitRanger plugin set: memory request for container main"


@pytest.mark.parametrize(
    ("present", "inject", "more", "expected"),
    [
        pytest.param(
            {"requests": {"memory": "4Gi"}},
            "{resources: {limits: {memory: 2Gi, cpu: '1'}}}",
            {},
            {"requests": {"memory": "4Gi"}, "limits": {"memory": "4Gi", "cpu": "1"}},
            id="a-limit-gives-way-to-the-users-request",
        ),
        pytest.param(
            {},
            "{accelerator: h, resources: {limits: {memory: 2Gi}}}",
            {},
            {
                "requests": {"memory": "64Gi", "x.com/h": "1"},
                "limits": {"memory": "64Gi", "x.com/h": "1"},
            },
            id="a-limit-gives-way-to-the-request-of-a-device-class",
        ),
        pytest.param(
            {"requests": {"memory": "4Gi"}},
            "{resources: {limits: {memory: 2Gi}}}",
            {"onConflict": "Override"},
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}},
            id="the-users-request-gives-way-to-a-limit-that-overrides",
        ),
        pytest.param(
            GIB,
            "{resources: {requests: {memory: 4Gi}}}",
            {"onConflict": "Override"},
            {"requests": {"memory": "4Gi"}, "limits": {"memory": "4Gi"}},
            id="the-users-limit-gives-way-to-a-request-that-overrides",
        ),
        pytest.param(
            {"limits": {"memory": "2Gi"}},
            "{resources: {requests: {memory: 1Gi}}}",
            {"onConflict": "Override"},
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            id="the-request-that-a-limit-implies-is-overridden-too",
        ),
        pytest.param(
            GIB,
            "{resources: {requests: {memory: 4Gi}}}",
            {"defaulted": BY_LIMIT_RANGER},
            GIB,
            id="a-request-above-the-users-limit-is-left-out",
        ),
        pytest.param(
            {"requests": {"memory": "1Gi"}},
            "{resources: {limits: {memory: 512Mi}}}",
            {"defaulted": BY_LIMIT_RANGER},
            {"requests": {"memory": "512Mi"}, "limits": {"memory": "512Mi"}},
            id="what-limit-ranger-requests-gives-way-to-a-limit",
        ),
    ],
)
def test_no_default_makes_a_request_exceed_its_limit(
    present: Any, inject: str, more: dict[str, str], expected: Any
) -> None:
    more = dict(more)
    annotations = {LIMIT_RANGER: more.pop("defaulted")} if "defaulted" in more else None
    given = (
        policy(inject, **more) + "---\nkind: Accelerator\nmetadata: {name: h}\n"
        "spec: {resource: x.com/h, perDevice: {memory: 64Gi}}\n"
    )
    plain = pod(annotations=annotations, spec={"containers": [container(resources=present)]})

    after = mutated(plain, given)

    assert resources(after) == expected
    assert review(after, given).patch == []


def test_a_request_above_a_limit_is_refused_where_the_policy_denies() -> None:
    plain = pod(spec={"containers": [container(resources={"requests": {"memory": "4Gi"}})]})

    decision = review(plain, policy("{resources: {limits: {memory: 2Gi}}}", onConflict="Deny"))

    assert messages(decision) == [
        '/spec/containers/0/resources/requests/memory is "4Gi", not "2Gi"; take it out or set it so'
    ]


def test_a_limit_alone_implies_its_request() -> None:
    main = container(resources={"limits": {"memory": "2Gi"}})

    after = mutated(
        pod(spec={"containers": [main]}), policy("{resources: {requests: {memory: 4Gi}}}")
    )

    assert resources(after) == {"limits": {"memory": "2Gi"}}


@pytest.mark.parametrize(
    ("present", "inject", "expected"),
    [
        pytest.param(
            {"env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]},
            "{env: [{name: IP, value: none}]}",
            "/spec/containers/0/env/0 (IP) is "
            '{"fieldRef":{"fieldPath":"status.hostIP"}}, not "none"; kept as it was written',
            id="a-value-of-the-downward-api",
        ),
        pytest.param(
            {},
            "{sidecars: [{container: {name: main, image: 'python:3.12', args: [x]}}]}",
            "/spec/containers/0 (main) is another than the policy's; kept as it was written",
            id="the-same-image",
        ),
        pytest.param(
            {"volumeMounts": [{"name": "mine", "mountPath": "/v"}]},
            "{sidecars: [{container: {name: c, image: i}, volumes: [{name: v, emptyDir: {}}], "
            "volumeMounts: [{name: v, mountPath: /v}]}]}",
            '/spec/containers/0/volumeMounts/0 (/v) is "mine", not "v"; kept as it was written',
            id="a-path",
        ),
    ],
)
def test_a_warning_names_what_is_taken_and_tells_the_two_apart(
    present: Any, inject: str, expected: str
) -> None:
    decision = review(pod(spec={"containers": [container(**present)]}), policy(inject))

    assert decision.warnings == (f"team: {expected}",)


def test_a_warning_about_a_volume_tells_what_it_is() -> None:
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    inject = "{sidecars: [{container: {name: c, image: i}, volumes: [{name: v, emptyDir: {}}]}]}"

    assert review(pod(spec={"volumes": [claim]}), policy(inject)).warnings == (
        'team: /spec/volumes/0 (v) is "persistentVolumeClaim", not "emptyDir"; '
        "kept as it was written",
    )


TEAM = "{env: [{name: TEAM, value: ml}]}"


@pytest.mark.parametrize(
    ("conflict", "value", "warnings", "refusals"),
    [
        pytest.param(
            "Keep",
            "mine",
            ('team: /spec/containers/0/env/0 (TEAM) is "mine", not "ml"; kept as it was written',),
            [],
            id="keep",
        ),
        pytest.param("Override", "ml", (), [], id="override"),
        pytest.param(
            "Deny",
            "mine",
            (),
            ['/spec/containers/0/env/0 (TEAM) is "mine", not "ml"; take it out or set it so'],
            id="deny",
        ),
    ],
)
@pytest.mark.parametrize("owner", [None, OWNED], ids=["bare", "controlled"])
def test_a_taken_name_is_what_on_conflict_says(
    conflict: str, value: str, warnings: Any, refusals: list[str], owner: Any
) -> None:
    main = container(env=[{"name": "TEAM", "value": "mine"}])
    plain = pod(spec={"containers": [main]}, owner=owner)

    decision = review(plain, policy(TEAM, onConflict=conflict))

    assert env(decision.object) == {"TEAM": value}
    assert decision.warnings == warnings
    assert messages(decision) == refusals
    assert [one.code for one in decision.violations] == [403] * len(refusals)


def test_what_was_overridden_is_recorded_and_comes_back() -> None:
    main = container(env=[{"name": "TEAM", "value": "mine"}])
    after = mutated(pod(spec={"containers": [main]}), policy(TEAM, onConflict="Override"))

    record = after["metadata"]["annotations"][f"{PREFIX}injected"]

    assert '[["/spec/containers/0/env/0",{"name":"TEAM","value":"mine"}]]' in record


def test_an_equal_value_is_no_conflict() -> None:
    main = container(env=[{"name": "TEAM", "value": "ml"}])

    decision = review(pod(spec={"containers": [main]}), policy(TEAM, onConflict="Deny"))

    assert (decision.patch, decision.warnings, decision.violations) == ([], (), ())


def test_the_smaller_order_goes_first_and_keeps_its_place() -> None:
    given = "---\n".join(
        (
            policy("{env: [{name: TEAM, value: late}]}", "a", order="10"),
            policy("{env: [{name: TEAM, value: early}]}", "b", order="1"),
        )
    )

    assert env(mutated(pod(), given)) == {"TEAM": "early"}


# --- met and missed ---------------------------------------------------------------------------


def test_an_unmet_accelerator_or_mount_was_missed() -> None:
    decision = review(pod(owner=OWNED, accelerator="gpu", mounts="pvc://data:/data"))

    assert decision.missed == (
        Violation(
            policy="devices",
            message='injection was missed, try again (accelerator "gpu")',
            code=403,
        ),
        Violation(
            policy="mounts", message='injection was missed, try again (mount "/data")', code=403
        ),
    )
    assert decision.violations == ()


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(pod(), id="no-intents"),
        pytest.param(pod(shm="1Gi", sidecars="logs", experiment="x"), id="other-intents"),
        pytest.param(
            pod(accelerator="gpu", mounts="pvc://d:/d", inject="false"), id="inject-false"
        ),
        pytest.param(pod(gpus=1, accelerator="gpu:4"), id="a-value-of-the-users"),
        pytest.param(
            pod(
                spec={
                    "containers": [
                        container(volumeMounts=[{"name": "mine", "mountPath": "/data/"}])
                    ],
                    "volumes": [{"name": "mine", "emptyDir": {}}],
                },
                mounts="pvc://data:/data",
            ),
            id="a-mount-of-the-users",
        ),
        pytest.param(pod(accelerator="nope", owner=OWNED), id="unusable"),
    ],
)
def test_what_is_met_was_not_missed(plain: Manifest) -> None:
    assert review(plain).missed == ()


def test_an_injected_pod_missed_nothing() -> None:
    plain = pod(accelerator="a100:2", mounts="s3://b/k:/data, scratch://1Gi:/tmp/work", shm="1Gi")

    assert review(mutated(plain)).missed == ()


# --- refusals ---------------------------------------------------------------------------------


UNUSABLE = [
    pytest.param(
        {"accelerator": "a1000"},
        'devices: kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?',
        id="unknown-class",
    ),
    pytest.param(
        {"accelerator": "xyzzy"},
        'devices: kubectl-ml.io/accelerator: unknown device class "xyzzy"; '
        "`kubectl ml classes` lists those that exist, with `--policies cluster` the cluster's, too",
        id="class-like-no-other",
    ),
    pytest.param(
        {"accelerator": "a100, h100"},
        'devices: kubectl-ml.io/accelerator: "a100" and "h100" are both nvidia.com/gpu; '
        "name one of them",
        id="two-classes-of-one-resource",
    ),
    pytest.param(
        {"accelerator": "h100:9"},
        'devices: kubectl-ml.io/accelerator: "h100:9" is more than a pod can have; '
        "ask for at most 8",
        id="too-many",
    ),
    pytest.param(
        {"accelerater": "a100"},
        'intents: unknown intent "accelerater"; did you mean "accelerator"?',
        id="unknown-intent",
    ),
    pytest.param(
        {"accelerator": "gpu", "containers": "mian"},
        'intents: kubectl-ml.io/containers: there is no container "mian"; did you mean "main"?',
        id="unknown-container",
    ),
    pytest.param(
        {"mounts": "imagenett:/data"},
        'mounts: kubectl-ml.io/mounts: unknown data source "imagenett"; '
        "`kubectl ml sources` lists those that exist, with `--policies cluster` the cluster's, too",
        id="unknown-source",
    ),
    pytest.param(
        {"mounts": "s4://b:/data"},
        'mounts: kubectl-ml.io/mounts: "s4://b": unknown scheme "s4"; known are pvc, s3, gs, '
        "hf, oci, scratch, memory, configmap, secret",
        id="unknown-scheme",
    ),
    pytest.param(
        {"mounts": "s3://b/k:/data:rw"},
        'mounts: kubectl-ml.io/mounts: "s3://b/k" is read-only; write ":ro", or leave the mode out',
        id="writing-to-what-is-fetched",
    ),
    pytest.param(
        {"sidecars": "log"},
        'sidecars: kubectl-ml.io/sidecars: no policy offers a sidecar "log" here; '
        'did you mean "logs"?',
        id="unknown-sidecar",
    ),
    pytest.param(
        {"profile": "ddp"},
        'intents: kubectl-ml.io/profile: no policy can be opted into as "ddp"; '
        "known: checkpoints, lineage, openfeature, otel, scrape, tensorboard, threads, undisturbed",
        id="unknown-profile",
    ),
    pytest.param(
        {"dapr": "app-port=0"},
        'intents: kubectl-ml.io/dapr "app-port=0": app-port "0" is not a port from 1 to 65535',
        id="dapr-port",
    ),
]


@pytest.mark.parametrize(("wanted", "sentence"), UNUSABLE)
def test_an_unusable_intent_refuses_a_bare_pod(wanted: dict[str, Any], sentence: str) -> None:
    decision = review(pod(**wanted))

    assert [f"{one.policy}: {one.message}" for one in decision.violations] == [sentence]
    assert [one.code for one in decision.violations] == [422]


@pytest.mark.parametrize(("wanted", "sentence"), UNUSABLE)
def test_nothing_carried_refuses_a_pod_with_a_controller(
    wanted: dict[str, Any], sentence: str
) -> None:
    decision = review(pod(owner=OWNED, **wanted))

    assert decision.violations == ()
    assert sentence in decision.warnings


@pytest.mark.parametrize(("wanted", "sentence"), UNUSABLE)
def test_an_unusable_intent_refuses_the_workload_at_its_apply(
    wanted: dict[str, Any], sentence: str
) -> None:
    for plain in (deployment(**wanted), deployment(pod(**wanted))):
        decision = review(plain)
        assert [f"{one.policy}: {one.message}" for one in decision.violations] == [sentence]


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"Service", "InferenceService"}))
def test_scale_is_refused_where_nothing_scales(kind: str) -> None:
    decision = review(workload(kind, scale="min=1"))

    assert messages(decision) == [
        f"kubectl-ml.io/scale: a {kind} can't scale by intent; write it on a Knative Service or an "
        "InferenceService, or take it out"
    ]


def test_scale_and_roles_are_refused_on_a_pod_that_somebody_wrote() -> None:
    assert messages(review(pod(scale="min=1", roles="worker"))) == [
        "kubectl-ml.io/roles: a Pod has no roles; take it out",
        "kubectl-ml.io/scale: a Pod can't scale by intent; write it on a Knative Service or an "
        "InferenceService, or take it out",
    ]
    assert messages(review(pod(scale="min=1", roles="worker", owner=OWNED))) == []


def test_scale_on_the_template_of_a_kind_that_cannot_is_refused_there_too() -> None:
    assert messages(review(deployment(pod(scale="min=1")))) == [
        "kubectl-ml.io/scale: a Deployment can't scale by intent; write it on a Knative Service or "
        "an InferenceService, or take it out"
    ]


def test_an_unknown_role_is_refused_with_the_nearest() -> None:
    assert messages(review(workload("MPIJob", accelerator="gpu", roles="workers"))) == [
        'kubectl-ml.io/roles: this MPIJob has no role "workers"; did you mean "worker"?'
    ]


def test_every_fault_is_told_at_once() -> None:
    decision = review(pod(accelerator="nope:0", shm="x", queue="Q Q", accelerater="x"))

    assert len(decision.violations) == 4


def test_an_intent_written_as_a_label_is_warned_about() -> None:
    for plain in (
        pod(labels=intents(accelerator="a100")),
        deployment(labels=intents(accelerator="a100")),
    ):
        assert review(plain).warnings == (
            "intents: kubectl-ml.io/accelerator is a label, which says nothing here; "
            "write it as an annotation",
        )


@pytest.mark.parametrize(
    ("wanted", "system"),
    [("dapr", "dapr"), ("mesh", "istio"), ("queue", "kueue or volcano or kai")],
)
@pytest.mark.parametrize("kind", ["Pod", "Deployment"])
def test_what_is_not_installed_is_warned_about(kind: str, wanted: str, system: str) -> None:
    values: dict[str, Any] = {wanted: "true"} if wanted != "queue" else {"queue": "team-a"}
    plain = pod(**values) if kind == "Pod" else workload(kind, **values)

    decision = review(plain, facts=Facts(installed=frozenset({"knative"})))

    assert decision.warnings == (
        f"intents: kubectl-ml.io/{wanted} needs {system}, which isn't installed",
    )
    assert decision.violations == ()


# --- which policies act -----------------------------------------------------------------------

MATCHES = [
    pytest.param("{kinds: [Pod]}", True, id="kind"),
    pytest.param("{kinds: [Deployment.apps]}", False, id="other-kind"),
    pytest.param("{namespaces: {names: [m*]}}", True, id="namespace-glob"),
    pytest.param("{namespaces: {names: [prod-*]}}", False, id="other-namespace"),
    pytest.param(
        "{namespaces: {selector: {matchLabels: {team: nlp}}}}", True, id="namespace-label"
    ),
    pytest.param("{namespaces: {selector: {matchLabels: {team: cv}}}}", False, id="other-label"),
    pytest.param("{objects: {matchLabels: {app: bert}}}", True, id="object-label"),
    pytest.param(
        "{objects: {matchExpressions: [{key: app, operator: NotIn, values: [bert]}]}}",
        False,
        id="not-in",
    ),
    pytest.param("{owners: [ReplicaSet.apps]}", True, id="owner"),
    pytest.param("{owners: [Job.batch]}", False, id="other-owner"),
    pytest.param("{subjects: {users: [ann]}}", True, id="user"),
    pytest.param("{subjects: {groups: [cv]}}", False, id="other-group"),
    pytest.param("{subjects: {users: [bob], groups: [nlp]}}", True, id="any-subject"),
    pytest.param("{intents: [experiment]}", True, id="intent"),
    pytest.param("{intents: [experiment, accelerator]}", False, id="all-intents"),
    pytest.param("{operations: [CREATE]}", True, id="operation"),
    pytest.param("{operations: [UPDATE]}", False, id="other-operation"),
    pytest.param("{exclude: {objects: {matchLabels: {app: bert}}}}", False, id="excluded"),
    pytest.param("{exclude: {namespaces: {names: [prod]}}}", True, id="not-excluded"),
]


@pytest.mark.parametrize(("match", "acts"), MATCHES)
def test_a_policy_acts_where_all_of_its_match_holds(match: str, acts: bool) -> None:
    plain = pod(labels={"app": "bert"}, owner=OWNED, experiment="x")
    facts = Facts(namespaces={"ml": {"team": "nlp"}})
    user = User(username="ann", groups=("nlp",))

    after = mutated(plain, policy(TEAM, match=match), facts, user=user)

    assert ("TEAM" in env(after)) is acts


def test_an_opt_in_policy_acts_only_on_those_that_name_it() -> None:
    given = policy(TEAM, "debug", optIn="true")

    assert "TEAM" not in env(mutated(pod(), given))
    assert env(mutated(pod(profile="debug"), given)) == {"TEAM": "ml"}
    assert messages(review(pod(profile="debig"), given)) == [
        'kubectl-ml.io/profile: no policy can be opted into as "debig"; did you mean "debug"?'
    ]


def test_a_preview_tells_and_does_nothing() -> None:
    decision = review(pod(), policy(TEAM, mode="Preview"))

    assert decision.patch == []
    assert [*decision.preview.values()] == [("/spec/containers/0/env/0",)]
    assert [key.partition("@")[0] for key in decision.preview] == ["team"]


def test_a_default_accelerator_gives_way_to_the_intent() -> None:
    given = policy("{accelerator: 'l4:1'}")

    assert resources(mutated(pod(), given))["limits"] == {"nvidia.com/gpu": "1"}
    assert resources(mutated(pod(accelerator="rdma:2"), given))["limits"] == {"rdma/hca": "2"}


# --- sidecars ---------------------------------------------------------------------------------

AGENT = policy("{sidecars: [{container: {name: agent, image: agent:1}}]}", "agents")


@pytest.mark.parametrize(
    ("plain", "native"),
    [
        pytest.param(pod(), False, id="pod"),
        pytest.param(pod(spec={"restartPolicy": "Always"}), False, id="always"),
        pytest.param(pod(spec={"restartPolicy": "Never"}), True, id="never"),
        pytest.param(pod(spec={"restartPolicy": "OnFailure"}), True, id="on-failure"),
        pytest.param(pod(owner=OWNED), False, id="of-a-ReplicaSet"),
        pytest.param(pod(owner=controlled_by("Job", "batch/v1")), True, id="of-a-Job"),
        pytest.param(
            pod(owner=controlled_by("PyTorchJob", "kubeflow.org/v1")), True, id="of-a-PyTorchJob"
        ),
    ],
)
def test_sidecars_of_pods_that_finish_are_native(plain: Manifest, native: bool) -> None:
    spec = mutated(plain, AGENT)["spec"]

    member = spec["initContainers"] if native else spec["containers"]
    assert member[-1]["name"] == "agent"
    assert member[-1].get("restartPolicy") == ("Always" if native else None)
    assert spec["containers"][0]["name"] == "main"


@pytest.mark.parametrize(
    ("version", "injected"), [((1, 28), False), ((1, 29), True)], ids=["1.28", "1.29"]
)
def test_native_sidecars_need_a_server_that_has_them(
    version: tuple[int, int], injected: bool
) -> None:
    decision = review(pod(spec={"restartPolicy": "Never"}), AGENT, Facts(kube_version=version))

    assert ("initContainers" in decision.object["spec"]) is injected
    assert messages(decision) == (
        []
        if injected
        else [
            'the sidecar "agent" would keep this pod from finishing, because Kubernetes 1.28 has '
            "no native sidecars; leave it out"
        ]
    )


RULES: Any = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}},
]


def test_a_pod_failure_policy_that_would_read_a_sidecar_is_warned_about() -> None:
    plain = job(sidecars="logs")
    plain["spec"]["podFailurePolicy"] = {"rules": RULES}

    decision = review(plain)

    assert decision.warnings == (
        "sidecars: spec.podFailurePolicy.rules[1].onExitCodes also reads the exit code of the "
        'sidecar "logs"; set containerName to the container it is for',
    )


def test_a_pod_failure_policy_that_names_its_container_is_fine() -> None:
    plain = job(sidecars="logs")
    rule = {**RULES[1], "onExitCodes": {**RULES[1]["onExitCodes"], "containerName": "main"}}
    plain["spec"]["podFailurePolicy"] = {"rules": [RULES[0], rule]}

    assert review(plain).warnings == ()


def test_injected_containers_pass_the_restricted_standard() -> None:
    given = AGENT + "---\n" + policy("{initContainers: [{name: warm, image: warm:1}]}", "warm")
    plain = pod(sidecars="logs", mounts="s3://b/k:/data", spec={"restartPolicy": "Never"})

    spec = mutated(plain, given)["spec"]

    assert [one["name"] for one in spec["initContainers"][1:]] == ["agent", "logs", "warm"]
    for one in spec["initContainers"]:
        context, wants = one["securityContext"], one["resources"]
        assert context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for member in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(wants[member])


# --- data sources -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "volume"),
    [
        pytest.param((1, 36), "image", id="1.36"),
        pytest.param((1, 35), "image", id="1.35"),
        pytest.param((1, 34), "emptyDir", id="1.34-from-a-sidecar"),
    ],
)
def test_image_volumes_need_a_server_that_has_them(version: Any, volume: str) -> None:
    decision = review(pod(mounts="oci://host/model:1:/m"), facts=Facts(kube_version=version))

    assert messages(decision) == []
    assert [*decision.object["spec"]["volumes"][0]] == ["name", volume]


PREFIXES = """
kind: DataSource
metadata: {name: whole}
spec: {s3: {bucket: datasets}, secretName: whole}
---
kind: DataSource
metadata: {name: imagenet}
spec: {s3: {bucket: datasets, prefix: imagenet}, secretName: imagenet}
---
kind: DataSource
metadata: {name: v3}
spec: {s3: {bucket: datasets, prefix: imagenet/v3}, secretName: v3}
---
kind: DataSource
metadata: {name: guarded}
spec:
  s3: {bucket: datasets, prefix: imagenet/v3/secret}
  secretName: guarded
  namespaces: {names: [other]}
"""


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        pytest.param("s3://datasets/imagenet/v3/train", "v3", id="longest"),
        pytest.param("s3://datasets/imagenet/v3", "v3", id="equal"),
        pytest.param("s3://datasets/imagenet/v34", "imagenet", id="whole-segments-only"),
        pytest.param("s3://datasets/imagenet2", "whole", id="only-the-bucket"),
        pytest.param("s3://datasets", "whole", id="the-bucket-itself"),
        pytest.param("s3://elsewhere/x", "s3", id="the-schemes-own"),
        pytest.param("s3://datasets/imagenet/v3/secret/x", "v3", id="of-those-that-may-be-used"),
    ],
)
def test_the_longest_bucket_and_prefix_wins(uri: str, secret: str) -> None:
    spec = mutated(pod(mounts=f"{uri}:/data"), PREFIXES)["spec"]

    assert spec["initContainers"][0]["envFrom"][0]["secretRef"]["name"] == secret


NAMESPACED = """
kind: DataSource
metadata: {name: data}
spec: {pvc: {claimName: for-all}, namespaces: {names: [ml, nlp]}}
---
kind: NamespacedDataSource
metadata: {name: data, namespace: nlp}
spec: {pvc: {claimName: for-nlp}}
"""


@pytest.mark.parametrize(
    ("namespace", "claim"), [("ml", "for-all"), ("nlp", "for-nlp")], ids=["cluster", "namespace"]
)
def test_the_namespaces_own_source_goes_first(namespace: str, claim: str) -> None:
    spec = mutated(pod(mounts="data:/data"), NAMESPACED, namespace=namespace)["spec"]

    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": claim}


def test_a_source_is_refused_in_other_namespaces() -> None:
    assert messages(review(pod(mounts="data:/data"), NAMESPACED, namespace="cv")) == [
        'kubectl-ml.io/mounts: data source "data" may not be used in namespace "cv"; '
        "ask its owner to add the namespace to spec.namespaces"
    ]


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("hostpath:///etc", "hostPath"),
        ("nfs://server/path", "nfs"),
        ("file:///etc", "hostPath"),
        ("csi://x", "csi"),
    ],
)
def test_annotations_reach_nothing_that_a_manifest_could_not(uri: str, source: str) -> None:
    decision = review(pod(mounts=f"{uri}:/data"))

    assert messages(decision) == [
        f'kubectl-ml.io/mounts: "{uri}": unknown scheme "{uri.partition(":")[0]}"; name a '
        f"DataSource, in which an admin gives the {source}"
    ]
    assert "volumes" not in decision.object["spec"]


@pytest.mark.parametrize(
    ("mount", "options"),
    [
        pytest.param("pvc://c:/data", {}, id="pvc-writes"),
        pytest.param("pvc://c:/data:ro", {"readOnly": True}, id="pvc-read-only"),
        pytest.param("pvc://c/a/b:/data", {"subPath": "a/b"}, id="sub-path"),
        pytest.param("scratch://1Gi:/data", {}, id="scratch"),
        pytest.param("memory://1Gi:/data", {}, id="memory"),
        pytest.param("s3://b:/data", {"readOnly": True}, id="fetched"),
        pytest.param("configmap://c:/data", {"readOnly": True}, id="config-map"),
        pytest.param("oci://host/m:1:/data", {"readOnly": True}, id="image"),
    ],
)
def test_the_mode_is_what_the_source_is(mount: str, options: Manifest) -> None:
    main = mutated(pod(mounts=mount))["spec"]["containers"][0]

    found = {key: value for key, value in main["volumeMounts"][0].items() if key != "name"}
    assert found == {"mountPath": "/data", **options}


# --- shared memory ----------------------------------------------------------------------------

PATH = "/dev/shm"  # noqa: S108 -- a path in a pod


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        pytest.param({"shm": "2Gi"}, "2Gi", id="intent"),
        pytest.param({"shm": "2Gi", "accelerator": "a100"}, "2Gi", id="intent-beats-class"),
        pytest.param({"accelerator": "a100"}, "16Gi", id="class"),
        pytest.param({"accelerator": "gpu"}, "8Gi", id="policy"),
        pytest.param({"accelerator": "h100, rdma"}, "32Gi", id="largest-of-the-classes"),
    ],
)
def test_shared_memory_is_what_is_named_first(wanted: dict[str, Any], size: str) -> None:
    spec = mutated(pod(**wanted))["spec"]

    assert spec["volumes"] == [
        {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}
    ]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "dshm", "mountPath": PATH}]


def test_inject_false_leaves_a_pod_alone() -> None:
    plain = pod(accelerator="a100", sidecars="logs", mesh="true", inject="false")

    decision = review(plain, policy(TEAM))

    assert (decision.patch, decision.missed, decision.violations) == ([], (), ())


@pytest.mark.parametrize("broken", [{"containers": []}, {"containers": None}, {"containers": "x"}])
def test_a_pod_that_no_server_takes_is_left_to_it(broken: Manifest) -> None:
    assert review(pod(spec=broken, accelerator="a100")).patch == []


def test_another_injectors_container_that_is_first_receives_nothing() -> None:
    plain = pod(accelerator="gpu:2")
    plain["spec"]["containers"].insert(0, container("istio-proxy"))

    proxy, main = mutated(plain)["spec"]["containers"]

    assert proxy == container("istio-proxy")
    assert main["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_a_daemon_set_whose_class_selects_no_nodes_is_warned_about() -> None:
    everywhere = (
        'devices: class "gpu" selects no nodes, so every node gets a pod, which waits where there '
        "is no such device; give the template a nodeSelector"
    )
    chosen = workload("DaemonSet", accelerator="gpu")
    chosen["spec"]["template"]["spec"]["nodeSelector"] = {"nvidia.com/gpu.present": "true"}

    assert review(workload("DaemonSet", accelerator="gpu")).warnings == (everywhere,)
    assert review(workload("DaemonSet", accelerator="l4")).warnings == ()
    assert review(chosen).warnings == ()


def test_a_mount_over_shared_memory_beats_what_classes_and_policies_give() -> None:
    spec = mutated(pod(accelerator="gpu", mounts="memory://4Gi:/dev/shm"))["spec"]

    assert [volume.get("emptyDir") for volume in spec["volumes"]] == [
        {"medium": "Memory", "sizeLimit": "4Gi"}
    ]


def test_shared_memory_that_is_asked_for_twice_is_refused() -> None:
    decision = review(pod(shm="8Gi", mounts="memory://4Gi:/dev/shm"))

    assert messages(decision) == [
        "kubectl-ml.io/shm: /dev/shm is asked for twice, by shm and by mounts; keep one"
    ]


def test_a_node_selector_of_the_users_stays_beside_a_class_of_several_labels() -> None:
    plain = pod(accelerator="h100")
    plain["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "NVIDIA-A10"}

    decision = review(plain)

    assert "affinity" not in decision.object["spec"]
    assert [warning[:78] for warning in decision.warnings] == [
        'devices: /spec/nodeSelector/nvidia.com/gpu.product is "NVIDIA-A10", not one of'
    ]


def test_a_class_that_only_a_policy_names_wrongly_is_not_the_users_mistake() -> None:
    decision = review(
        pod(),
        """
kind: InjectionPolicy
metadata: {name: everyone}
spec: {inject: {accelerator: "a1000:1"}}
""",
    )

    assert decision.violations == ()
    assert decision.warnings == (
        'everyone: spec.inject.accelerator: unknown device class "a1000"; did you mean "a100"?',
    )


def test_a_cron_jobs_pod_failure_policy_is_warned_about_too() -> None:
    plain = workload("CronJob", sidecars="logs")
    plain["spec"]["jobTemplate"]["spec"]["podFailurePolicy"] = {
        "rules": [{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}}]
    }

    (warning,) = review(plain).warnings

    assert warning.startswith(
        "sidecars: spec.jobTemplate.spec.podFailurePolicy.rules[0].onExitCodes also reads"
    )


def test_a_queue_that_the_template_names_is_the_workloads() -> None:
    plain = workload("Job")
    plain["spec"]["template"]["metadata"] = {"annotations": {"kubectl-ml.io/queue": "team-a"}}

    labels = mutated(plain)["metadata"]["labels"]

    assert labels["kueue.x-k8s.io/queue-name"] == "team-a"


def test_the_name_of_a_scheme_is_no_data_source() -> None:
    for name in ("pvc", "secret", "memory"):
        assert messages(review(pod(mounts=f"{name}:/data"))) == [
            f'kubectl-ml.io/mounts: "{name}" says how {name}:// is mounted here, and names '
            f'nothing; write "{name}://…:/data"'
        ]


def test_a_preview_of_a_workload_tells_what_its_pods_would_get() -> None:
    given = """
kind: InjectionPolicy
metadata: {name: soon}
spec: {mode: Preview, inject: {env: [{name: TEAM, value: ml}]}}
"""
    decision = review(workload("Deployment"), given)

    ((policy, pointers),) = decision.preview.items()
    assert (policy.partition("@")[0], pointers) == ("soon", ("/spec/containers/0/env/0",))
    assert decision.patch == []


@pytest.mark.parametrize("name", [None, 3, [], {}, ["a"]])
def test_a_container_whose_name_is_no_string_crashes_nothing(name: Any) -> None:
    plain = pod(accelerator="gpu", mounts="pvc://x:/data", sidecars="logs")
    plain["spec"]["containers"][0]["name"] = name

    assert review(plain).object["spec"]["containers"][0]["name"] == name
