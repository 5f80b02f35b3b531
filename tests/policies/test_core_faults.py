"""What the API server would refuse in every pod is refused in the policy that says it."""

from __future__ import annotations

import pytest

from policies.errors import InvalidPolicies
from policies.model import PolicySet
from tests import builders


def policies(inject: str) -> PolicySet:
    return builders.policies(
        f"kind: InjectionPolicy\nmetadata: {{name: x}}\nspec: {{inject: {inject}}}"
    )


def sidecar(members: str) -> str:
    return f"{{sidecars: [{{container: {{name: c, image: i, {members}}}}}]}}"


@pytest.mark.parametrize(
    ("inject", "path", "sentence"),
    [
        pytest.param(
            "{tolerations: [{key: a, operator: Exists, value: b}]}",
            "tolerations[0].value",
            '"b" is refused beside operator "Exists"; take one of them out',
            id="toleration-of-any-value-with-a-value",
        ),
        pytest.param(
            "{tolerations: [{effect: NoSchedule}]}",
            "tolerations[0]",
            'a toleration without a key has operator "Exists"; write that, or a key',
            id="toleration-without-a-key",
        ),
        pytest.param(
            "{tolerations: [{key: a, tolerationSeconds: 5}]}",
            "tolerations[0].tolerationSeconds",
            'goes with effect "NoExecute" alone; write that, or take it out',
            id="seconds-of-a-toleration",
        ),
        pytest.param(
            "{env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]}",
            "env[0].valueFrom",
            "a variable has this or a value, not both; keep one",
            id="two-values",
        ),
        pytest.param(
            "{env: [{name: A, valueFrom: {}}]}",
            "env[0].valueFrom",
            "takes one of fieldRef, resourceFieldRef, configMapKeyRef, "
            "secretKeyRef, fileKeyRef; write one",
            id="value-from-nowhere",
        ),
        pytest.param(
            "{env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIp}}}]}",
            "env[0].valueFrom.fieldRef.fieldPath",
            '"status.podIp" is no fieldPath of a variable; did you mean "status.podIP"?',
            id="unknown-field-of-the-pod",
        ),
        pytest.param(
            "{tracking: {env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]}}",
            "tracking.env[0].valueFrom.resourceFieldRef.resource",
            '"limits.gpu" is no resource of a variable; did you mean "limits.cpu"?',
            id="unknown-resource-of-the-container",
        ),
        pytest.param(
            sidecar("startupprobe: {}"),
            "sidecars[0].container.startupprobe",
            'unknown field "startupprobe"; did you mean "startupProbe"?',
            id="misspelt-field-of-a-container",
        ),
        pytest.param(
            sidecar("startupProbe: {httpGet: {path: /}}"),
            "sidecars[0].container.startupProbe.httpGet",
            '"port" is missing; add it',
            id="probe-without-a-port",
        ),
        pytest.param(
            sidecar("livenessProbe: {periodSeconds: 5}"),
            "sidecars[0].container.livenessProbe",
            "does one of exec, httpGet, tcpSocket, grpc; write one",
            id="probe-of-nothing",
        ),
        pytest.param(
            sidecar("startupProbe: {exec: {command: [true]}}"),
            "sidecars[0].container.startupProbe.exec.command[0]",
            "true is not a string; put it in quotes",
            id="command-of-a-probe",
        ),
        pytest.param(
            sidecar("lifecycle: {prestop: {sleep: {seconds: 1}}}"),
            "sidecars[0].container.lifecycle.prestop",
            'unknown field "prestop"; did you mean "preStop"?',
            id="misspelt-hook",
        ),
    ],
)
def test_a_policy_is_refused_for_what_no_pod_may_have(
    inject: str, path: str, sentence: str
) -> None:
    with pytest.raises(InvalidPolicies) as refused:
        policies(inject)

    assert str(refused.value).partition("(InjectionPolicy x): ")[2] == (
        f"spec.inject.{path}: {sentence}"
    )


def test_what_pods_may_have_is_taken_and_what_a_newer_kubernetes_may_know() -> None:
    fields = "valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a/b']\"}}"
    resources = "valueFrom: {resourceFieldRef: {resource: requests.ephemeral-storage}}"
    inject = sidecar(
        f"quux: {{}}, env: [{{name: A, {fields}}}, {{name: B, {resources}}}],"
        " lifecycle: {preStop: {sleep: {seconds: 5}}}, startupProbe: {grpc: {port: 1}}"
    )

    assert policies(inject).injections
