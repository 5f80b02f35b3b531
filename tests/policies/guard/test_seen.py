"""What a broken rule saw: the paths that its expression reads, and their values."""

from __future__ import annotations

import pytest
import yaml

from policies import engine
from policies.model import Facts, Manifest
from tests.builders import policies, request

POD: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web",
        "namespace": "ml",
        "labels": {"app": "web"},
        "annotations": {"example.com/owner": "ada", "long": "x" * 200},
    },
    "spec": {
        "containers": [
            {"name": "a", "image": "one", "env": [{"name": "A"}, {"name": "B"}]},
            {"name": "b", "image": "two"},
        ]
    },
}


def seen(expression: str, **spec: object) -> dict[str, str]:
    """Explain a pod that the expression refuses."""
    guard = {
        "apiVersion": "kubectl-ml.io/v1alpha1",
        "kind": "GuardPolicy",
        "metadata": {"name": "g"},
        "spec": {"rules": [{"expression": expression, "message": "no"}], **spec},
    }
    found = engine.explain(request(POD), policies(yaml.safe_dump(guard)), Facts())
    (reason,) = found.reasons
    assert [one.policy for one in found.violations] == ["g"]
    return dict(reason.saw)


@pytest.mark.parametrize(
    ("expression", "saw"),
    [
        pytest.param(
            "has(object.metadata.labels.team)",
            {"object.metadata.labels.team": "not there"},
            id="what-is-not-there",
        ),
        pytest.param(
            "object.metadata.annotations['example.com/owner'] == \"bob\"",
            {'object.metadata.annotations["example.com/owner"]': '"ada"'},
            id="a-key-in-brackets",
        ),
        pytest.param(
            "object.spec.containers[1].image == 'object.metadata.name' // object.metadata.uid",
            {"object.spec.containers[1].image": '"two"'},
            id="no-strings-and-comments",
        ),
        pytest.param(
            "object.spec.containers.all(c, c.image.startsWith('one'))",
            {"object.spec.containers[*].image": '"one", "two"'},
            id="elements-of-a-list",
        ),
        pytest.param(
            "object.spec.containers.exists(c, has(c.env) && c.env.exists(e, e.name == 'Z'))",
            {
                "object.spec.containers[*].env": '[{"name":"A"},{"name":"B"}], not there',
                "object.spec.containers[*].env[*].name": '"A", "B", not there',
            },
            id="elements-of-elements",
        ),
        pytest.param(
            "object.metadata.labels.all(k, k != 'app')",
            {"object.metadata.labels[*]": '"app"'},
            id="keys-of-a-map",
        ),
        pytest.param(
            "object.metadata.?labels.?team.orValue('') != ''",
            {"object.metadata.labels.team": "not there"},
            id="optional-members",
        ),
        pytest.param(
            "object.metadata.annotations.long.size() < 3",
            {"object.metadata.annotations.long": '"' + "x" * 78 + "…"},
            id="bounded",
        ),
        pytest.param(
            "request.namespace == 'prod' && size(object.spec) > 0",
            {"request.namespace": '"ml"', "object.spec": '{"containers":[{"name":"a","image":'
             '"one","env":[{"name":"A"},{"name":"B"}]},{"n…'},
            id="other-roots",
        ),
        pytest.param("1 > 2", {}, id="nothing-read"),
    ],
)  # fmt: skip
def test_what_an_expression_read_is_told(expression: str, saw: dict[str, str]) -> None:
    assert seen(expression) == saw


def test_a_variable_is_told_with_what_it_read() -> None:
    variables = [{"name": "owner", "expression": "object.metadata.labels.owner"}]

    assert seen("variables.owner != ''", variables=variables, failurePolicy="Fail") == {
        "variables.owner": "not there",
        "object.metadata.labels.owner": "not there",
    }


def test_params_are_told() -> None:
    assert seen("object.metadata.name in params.names", params={"names": ["x"]}) == {
        "object.metadata.name": '"web"',
        "params.names": '["x"]',
    }
