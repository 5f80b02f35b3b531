"""What guards name beyond workloads that come and change is sent by registrations of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from webhook import registrations

RULE = "rules: [{expression: 'false', message: No.}]"


def written(directory: Path, *matches: str) -> Path:
    file = directory / "guards.yaml"
    file.write_text(
        "\n---\n".join(
            "{apiVersion: kubectl-ml.io/v1alpha1, kind: GuardPolicy, "
            f"metadata: {{name: g{number}}}, spec: {{match: {{{match}}}, {RULE}}}}}"
            for number, match in enumerate(matches)
        )
    )
    return file


def webhooks(*flags: str) -> dict[str, Any]:
    made = CliRunner().invoke(registrations.command, flags)
    assert made.exit_code == 0, made.output
    return {
        each["name"]: each for one in yaml.safe_load_all(made.output) for each in one["webhooks"]
    }


def rule(
    group: str, versions: str, operations: str, *resources: str, scope: str = "Namespaced"
) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [versions],
        "operations": operations.split(),
        "resources": [*resources],
        "scope": scope,
    }


PODS_CONNECT = rule(
    "", "v1", "CONNECT", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"
)


@pytest.mark.parametrize(
    ("match", "rules"),
    [
        pytest.param("kinds: [Pod]", None, id="pods-are-sent-anyway"),
        pytest.param("kinds: [Job.batch], operations: [UPDATE]", None, id="workloads-too"),
        pytest.param(
            "kinds: [Job.batch], operations: [CREATE, DELETE]",
            [rule("batch", "v1", "DELETE", "jobs")],
            id="deletion",
        ),
        pytest.param("operations: [DELETE]", [rule("", "v1", "DELETE", "pods")], id="no-kind"),
        pytest.param(
            "kinds: [Service, ConfigMap]",
            [rule("", "*", "CREATE UPDATE", "configmaps", "services")],
            id="without-pods",
        ),
        pytest.param("kinds: [Pod], operations: [CONNECT]", [PODS_CONNECT], id="connect"),
        pytest.param(
            "kinds: [PodExecOptions], operations: [CREATE, CONNECT]",
            [rule("", "v1", "CONNECT", "pods/exec")],
            id="exec-alone",
        ),
        pytest.param(
            "kinds: [Namespace], operations: [DELETE]",
            [rule("", "*", "DELETE", "namespaces", scope="Cluster")],
            id="namespaces",
        ),
    ],
)
def test_what_a_guard_names_is_sent(
    tmp_path: Path, match: str, rules: list[dict[str, Any]] | None
) -> None:
    found = webhooks("--policies", str(written(tmp_path, match)))

    added = {name: each for name, each in found.items() if name not in webhooks()}
    assert {name: each["rules"] for name, each in added.items()} == (
        {"guards.validate.kubectl-ml.io": rules, "guards.enforce.kubectl-ml.io": rules}
        if rules
        else {}
    )
    assert {name: each for name, each in found.items() if name not in added} == webhooks()


def test_guards_hold_as_the_namespace_says(tmp_path: Path) -> None:
    found = webhooks("--policies", str(written(tmp_path, "operations: [DELETE]")))

    for name in ("validate", "enforce"):
        ours, theirs = found[f"guards.{name}.kubectl-ml.io"], found[f"{name}.kubectl-ml.io"]
        same = ("clientConfig", "failurePolicy", "namespaceSelector", "sideEffects")
        assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
        assert [one["name"] for one in ours["matchConditions"]] == [
            "not-being-deleted",
            "not-cleaning-up",
        ]


def test_a_kind_that_nobody_knows_the_resource_of(tmp_path: Path) -> None:
    file = written(tmp_path, "kinds: [Widget.example.com], operations: [DELETE]")

    refused = CliRunner().invoke(registrations.command, ["--policies", str(file)])
    found = webhooks("--policies", str(file), "--resource", "Widget.example.com=widgets")

    assert (refused.exit_code, refused.output) == (
        1,
        'Error: GuardPolicy "g0": spec.match.kinds: the resource of "Widget.example.com" is not '
        "known; add --resource Widget.example.com=PLURAL, as kubectl api-resources names it\n",
    )
    assert found["guards.enforce.kubectl-ml.io"]["rules"] == [
        rule("example.com", "*", "DELETE", "widgets")
    ]


@pytest.mark.parametrize("text", ["widgets", "Widget.example.com=", "=widgets", "W.e.com=*/*"])
def test_what_is_no_resource_is_refused(text: str) -> None:
    refused = CliRunner().invoke(registrations.command, ["--resource", text])

    assert refused.exit_code == 2
    assert f'"{text}" names no resource; write KIND.GROUP=PLURAL' in refused.output
