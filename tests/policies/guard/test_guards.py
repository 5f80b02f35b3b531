"""Guards and exceptions, through the front door."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from policies import engine, load
from policies.errors import InvalidPolicies
from policies.model import Decision, Facts, PolicySet, Request, Violation

DESIGN = """
kind: GuardPolicy
metadata: {name: gpu-needs-queue}
spec:
  match: {kinds: [Pod], intents: [accelerator]}
  enforcement: Deny
  rules: [{expression: "has(object.metadata.labels.team)", message: "GPU pods carry a team label."}]
  checks: {images: {registries: [registry.example.com/*], tags: {deny: [latest]}}, podSecurity: {level: restricted}}
---
kind: PolicyException
metadata: {name: nlp-demo}
spec: {policies: [gpu-needs-queue], match: {namespaces: {names: [nlp-demo]}}, reason: conference demo, expires: "2027-03-01T00:00:00Z"}
"""  # noqa: E501
EXPIRES = 1803859200.0
SECURE = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def policies(text: str) -> PolicySet:
    documents = [
        load.Document(file="p.yaml", number=number, value=value)
        for number, value in enumerate(yaml.safe_load_all(text), 1)
    ]
    return load.policy_set(documents, base=load.library())


def pod(image: str = "registry.example.com/a/b:1", **metadata: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "securityContext": SECURE}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "a",
            "annotations": {"kubectl-ml.io/accelerator": "nvidia:1"},
            **metadata,
        },
        "spec": {"containers": [container]},
    }


def request(obj: Any, operation: str = "CREATE", **more: Any) -> Request:
    given = obj or more["old_object"]
    group, _, version = given["apiVersion"].rpartition("/")
    more = {"namespace": "ml", **more}
    return Request(
        operation=operation, group=group, version=version, kind=given["kind"], object=obj, **more
    )


def deployment(image: str) -> dict[str, Any]:
    made = pod(image)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", **made["metadata"]},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": made["spec"]}},
    }


def lines(decision: Decision) -> list[str]:
    return [f"{one.policy}: {one.message}" for one in decision.violations if one.code == 403]


NO_TEAM = (
    "gpu-needs-queue: GPU pods carry a team label. (`has(object.metadata.labels.team)` can't be "
    'evaluated: no such key: "labels")'
)
LATEST = (
    'gpu-needs-queue: image "nginx" of container "main" has the tag "latest", '
    "which it is without a tag; name another"
)
ELSEWHERE = (
    'gpu-needs-queue: image "nginx" of container "main" is from none of '
    "registry.example.com/*; take one that is"
)


def test_the_guard_of_the_design() -> None:
    known = policies(DESIGN)

    bad = engine.review(request(pod("nginx")), known, Facts())
    good = engine.review(request(pod(labels={"team": "nlp"})), known, Facts())

    assert lines(bad) == [NO_TEAM, LATEST, ELSEWHERE]
    assert lines(good) == []


def test_a_template_is_judged_as_its_pods_will_be() -> None:
    found = engine.review(request(deployment("nginx")), policies(DESIGN), Facts())

    assert lines(found) == ["gpu-needs-queue: GPU pods carry a team label.", LATEST, ELSEWHERE]


def test_an_update_is_refused_for_what_changed_alone() -> None:
    known = policies(DESIGN)
    old = engine.review(request(deployment("nginx")), known, Facts()).object
    same = request(old | {"spec": {**old["spec"], "replicas": 3}}, "UPDATE", old_object=old)
    made = deployment("nginx:latest")["spec"]["template"]["spec"]
    template = {**old["spec"]["template"], "spec": made}
    worse = request(old | {"spec": {"template": template}}, "UPDATE", old_object=old)

    assert lines(engine.review(same, known, Facts())) == []
    assert [line.partition(" of ")[0] for line in lines(engine.review(worse, known, Facts()))] == [
        'gpu-needs-queue: image "nginx:latest"',
        'gpu-needs-queue: image "nginx:latest"',
    ]


@pytest.mark.parametrize(
    ("namespace", "now", "refused"),
    [
        pytest.param("nlp-demo", EXPIRES - 1, False, id="let-off"),
        pytest.param("nlp-demo", EXPIRES, True, id="expired"),
        pytest.param("nlp-demo", None, False, id="no-clock"),
        pytest.param("ml", EXPIRES - 1, True, id="another-namespace"),
    ],
)
def test_the_exception_of_the_design(namespace: str, now: float | None, refused: bool) -> None:
    asked = request(pod("nginx"), namespace=namespace)

    found = engine.review(asked, policies(DESIGN), Facts(now=now))

    assert bool(lines(found)) is refused
    warning = 'gpu-needs-queue: the exception "nlp-demo" has expired; renew it or delete it'
    assert (warning in found.warnings) is (now == EXPIRES)


def guard(spec: str) -> PolicySet:
    return policies(f"{{kind: GuardPolicy, metadata: {{name: g}}, spec: {spec}}}")


@pytest.mark.parametrize("enforcement", ["Deny", "Warn", "Audit"])
def test_enforcement(enforcement: str) -> None:
    known = guard(f'{{enforcement: {enforcement}, rules: [{{expression: "false", message: No.}}]}}')

    found = engine.review(request(pod()), known, Facts())

    violation = Violation(policy="g", message="No.")
    assert (violation in found.violations, "g: No." in found.warnings, found.audits) == (
        enforcement == "Deny",
        enforcement == "Warn",
        (violation,) if enforcement == "Audit" else (),
    )


def test_a_reason_repeats_no_long_value() -> None:
    obj = pod()
    obj["metadata"]["annotations"] = {"most": "8" * 5000 + "x"}
    expression = "quantity(object.metadata.annotations.most).asInteger() > 1"

    found = engine.review(
        request(obj), guard(f'{{rules: [{{expression: "{expression}"}}]}}'), Facts()
    )

    assert lines(found) == [
        f'g: `{expression}` can\'t be evaluated: "{"8" * 79}…{"8" * 25}x" is not a quantity; '
        'write for example "500m" or "2Gi"'
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("object.metadata.name == 'a'", ""),
        ("oldObject == null && request.operation == 'CREATE'", ""),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", ""),
        ("cidr('10.0.0.0/8').containsIP('10.1.1.1')", ""),
        ("object.spec.containers.all(i, c, c.image.startsWith('registry'))", ""),
        ("object.spec.nope", '`object.spec.nope` can\'t be evaluated: no such key: "nope"'),
        ("object.metadata.name == 'b'", "failed expression: object.metadata.name == 'b'"),
    ],
)  # fmt: skip
def test_expressions(expression: str, message: str) -> None:
    found = engine.review(
        request(pod()), guard(f'{{rules: [{{expression: "{expression}"}}]}}'), Facts()
    )

    assert lines(found) == ([f"g: {message}"] if message else [])


def test_an_expression_that_fails_follows_the_failure_policy() -> None:
    hostile = "object.r.all(a, object.r.all(b, object.r.all(c, true)))"
    asked = request({**pod(), "r": list(range(100))})
    spec = f'failurePolicy: {{}}, rules: [{{{{expression: "{hostile}"}}}}]'
    fail, ignore = (guard("{" + spec.format(one) + "}") for one in ("Fail", "Ignore"))

    assert lines(engine.review(asked, ignore, Facts())) == []
    assert lines(engine.review(asked, fail, Facts())) == [
        f"g: `{hostile}` can't be evaluated: Iteration budget exceeded"
    ]


def test_variables_params_and_message_expressions() -> None:
    known = guard(
        '{params: {max: 1}, variables: [{name: n, expression: "size(object.spec.containers)"}], '
        'rules: [{expression: "variables.n < params.max", '
        "messageExpression: \"'has ' + string(variables.n)\"}]}"
    )

    assert lines(engine.review(request(pod()), known, Facts())) == ["g: has 1"]


def test_a_variable_that_fails_says_why_where_it_is_used() -> None:
    known = guard(
        "{failurePolicy: Fail, variables: ["
        '{name: n, expression: "size(object.spec.containers) / 0"}, '
        '{name: more, expression: "variables.n + 1"}, {name: unused, expression: "1 / 0"}], '
        'rules: [{expression: "variables.more > 0"}]}'
    )

    assert lines(engine.review(request(pod()), known, Facts())) == [
        'g: `variables.more > 0` can\'t be evaluated: variable "more": variable "n": divide by zero'
    ]


def test_a_rule_gives_its_reason() -> None:
    known = guard("{rules: [{expression: 'false', message: No., reason: Unauthorized}]}")

    found = engine.review(request(pod()), known, Facts())

    assert Violation(policy="g", message="No.", reason="Unauthorized") in found.violations


def test_the_namespace_has_all_that_is_known_of_it() -> None:
    known = guard(
        "{rules: [{expression: \"namespaceObject.metadata.labels.a == 'b' && "
        "namespaceObject.metadata.annotations.owner == 'nlp' && "
        "namespaceObject.status.phase == 'Active'\"}]}"
    )
    facts = Facts(
        namespaces={"ml": {"a": "b"}},
        namespace_objects={
            "ml": {"metadata": {"annotations": {"owner": "nlp"}}, "status": {"phase": "Active"}}
        },
    )

    assert lines(engine.review(request(pod()), known, facts)) == []


def test_deletion_is_judged_where_asked() -> None:
    rule = 'rules: [{expression: "oldObject == null", message: Stays.}]'
    asked = request(None, "DELETE", old_object=pod())

    found = [
        lines(engine.review(asked, guard(f"{{match: {{operations: [{one}]}}, {rule}}}"), Facts()))
        for one in ("DELETE", "CREATE")
    ]

    assert found == [["g: Stays."], []]


def test_another_kind_is_judged_itself() -> None:
    known = guard(
        "{match: {kinds: [Deployment.apps]}, rules: "
        '[{expression: "object.spec.replicas <= 5", message: Five.}]}'
    )
    obj = deployment("a:1")
    obj["spec"]["replicas"] = 6

    assert lines(engine.review(request(obj), known, Facts())) == ["g: Five."]
    assert lines(engine.review(request(pod()), known, Facts())) == []


EXEC = {"apiVersion": "v1", "kind": "PodExecOptions", "command": ["sh"]}


@pytest.mark.parametrize(
    ("match", "refused"),
    [
        pytest.param("operations: [CONNECT]", True, id="pods-by-default"),
        pytest.param("kinds: [Pod], operations: [CREATE, CONNECT]", True, id="beside-others"),
        pytest.param("kinds: [PodExecOptions], operations: [CONNECT]", True, id="exec-alone"),
        pytest.param("kinds: [Pod, PodExecOptions], operations: [CONNECT]", True, id="once"),
        pytest.param("kinds: [PodAttachOptions], operations: [CONNECT]", False, id="attach"),
        pytest.param("kinds: [Service], operations: [CONNECT]", False, id="another-kind"),
        pytest.param("kinds: [Pod]", False, id="not-asked"),
    ],
)
def test_connections_are_judged_where_asked(match: str, refused: bool) -> None:
    known = guard(
        f"{{match: {{{match}}}, checks: {{podSecurity: {{level: restricted}}}}, "
        "rules: [{expression: \"request.subResource != 'exec' || "
        "object.command != ['sh']\", message: No shell.}]}"
    )

    found = engine.review(request(EXEC, "CONNECT", subresource="exec"), known, Facts())

    assert lines(found) == (["g: No shell."] if refused else [])


def test_a_kind_without_pods_is_judged() -> None:
    known = guard(
        "{match: {kinds: [Service]}, rules: "
        "[{expression: \"object.spec.type != 'NodePort'\", message: No NodePort.}]}"
    )
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}

    found = [
        lines(engine.review(request({**service, "spec": {"type": one}}), known, Facts()))
        for one in ("NodePort", "ClusterIP")
    ]

    assert found == [["g: No NodePort."], []]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ('{rules: [{expression: "1 + 1"}]}',
         "spec.rules[0].expression: `1 + 1` gives INT, not BOOL; make it one that does"),
        ('{rules: [{expression: "authorizer.x"}]}',
         "spec.rules[0].expression: line 1, column 11 of `authorizer.x`: authorizer is not there: "
         "a decision asks the cluster nothing; take it out"),
        ("{checks: {podSecurity: {level: baseline, version: v2}}}",
         'spec.checks.podSecurity.version: "v2" is no version; write "v1.N" or "latest"'),
        ("{}", "spec: there is nothing that it refuses; add rules or checks"),
        ('{match: {kinds: [Services]}, rules: [{expression: "false"}]}',
         'spec.match.kinds[0]: "Services": there is no such kind; did you mean "Service"?'),
        ("{checks: {accelerators: {allowedClasses: [a]}}}",
         'spec.checks.accelerators.allowedClasses: unknown field "allowedClasses"; write classes'),
        ("{checks: {accelerators: {maxPerPod: 0}}}",
         "spec.checks.accelerators.maxPerPod: 0 is too small; write 1 or more"),
        ("{checks: {accelerators: {classes: a100}}}",
         'spec.checks.accelerators.classes: "a100" is not a list of classes, or {allow, deny}; '
         'write for example ["a100"]'),
        ("{checks: {resources: {requests: cpu}}}",
         'spec.checks.resources.requests: "cpu" is not a list of resources, or {required, min, '
         'max}; write for example ["cpu", "memory"]'),
        ("{checks: {resources: {max: {cpu: lots}}}}",
         'spec.checks.resources.max.cpu: "lots" is not a quantity; write for example "80Gi"'),
        ("{checks: {mounts: {hostPath: false}}}",
         'spec.checks.mounts.hostPath: unknown field "hostPath"; write volumes: {deny: '
         '[hostPath]}, or a source such as "hostPath:///data/*"'),
        ("{checks: {mounts: {}}}",
         "spec.checks.mounts: it says nothing of what may be mounted; add sources, deny or "
         "volumes"),
        ("{checks: {knativeAutoscaling: {maxScal: 3}}}",
         'spec.checks.knativeAutoscaling.maxScal: Knative has no setting '
         '"max-scal"; did you '
         'mean "max-scale"?'),
        ("{checks: {knativeAutoscaling: {maxScale: many}}}",
         'spec.checks.knativeAutoscaling.maxScale: "many" is no bound for max-scale; write 10'),
        ("{checks: {requireIntents: [accelerater]}}",
         'spec.checks.requireIntents: there is no intent "accelerater"; did you mean '
         '"accelerator"?'),
        ("{checks: {requireIntents: {}}}",
         "spec.checks.requireIntents: it names no intent; name one"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_at_load(spec: str, message: str) -> None:
    with pytest.raises(InvalidPolicies) as caught:
        guard(spec)

    assert [f"{one.path}: {one.message}" for one in caught.value.faults] == [message]


def test_of_many_policies_those_act_that_apply_in_their_order() -> None:
    """What is filed by namespace, by intent, by glob and by nothing comes in the order of names."""
    matches = [
        "namespaces: {names: [ml]}",
        "intents: [accelerator]",
        "namespaces: {names: [m*]}",
        "kinds: [Pod]",
        "namespaces: {names: [elsewhere]}",
        "intents: [queue]",
        "kinds: [Job.batch]",
    ]
    known = policies(
        "\n---\n".join(
            f"{{kind: InjectionPolicy, metadata: {{name: p{number}}}, spec: {{match: {{{match}}}, "
            f"inject: {{env: [{{name: V{number}, value: x}}]}}}}}}"
            for number, match in enumerate(matches)
        )
    )

    found = engine.review(request(pod()), known, Facts())

    env = found.object["spec"]["containers"][0]["env"]
    assert [one["name"] for one in env if one["value"] == "x"] == ["V0", "V1", "V2", "V3"]


def test_the_runtime_is_imported_only_for_an_expression() -> None:
    """A start without rules doesn't wait for it."""
    code = (
        "import sys; from policies import engine, load; load.library(); "
        "print([name for name in sys.modules if name.startswith('cel_expr')])"
    )

    found = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert found.stdout == "[]\n"
