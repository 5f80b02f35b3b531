"""The CustomResourceDefinitions: what the schemas become, and that the shipped ones are those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import digests, faults
from webhook import definitions

SHIPPED = Path(__file__).parents[2] / "manifests" / "crds"


def spec_of(kind: str) -> Any:
    (version,) = definitions.definition(kind)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize("kind", sorted(faults.SCHEMAS))
def test_what_is_shipped_is_not_stale(kind: str) -> None:
    file = SHIPPED / f"{definitions.KINDS[kind].plural}.yaml"

    assert file.read_text() == definitions.text(kind), "run `make generate`"


def test_nothing_else_is_shipped() -> None:
    made = {f"{definitions.KINDS[kind].plural}.yaml" for kind in faults.SCHEMAS}

    assert {file.name for file in SHIPPED.iterdir()} == made | {"kustomization.yaml"}
    assert set(yaml.safe_load((SHIPPED / "kustomization.yaml").read_text())["resources"]) == made


@pytest.mark.parametrize("kind", sorted(faults.SCHEMAS))
def test_what_the_api_server_defaults_changes_no_hash(kind: str) -> None:
    members = faults.schema(faults.SCHEMAS[kind])["properties"]["spec"]["properties"]
    defaults = {name: one["default"] for name, one in members.items() if "default" in one}

    assert digests.DEFAULTS.get(kind, {}) == defaults
    assert digests.digest(kind, {"a": 1, **defaults}) == digests.digest(kind, {"a": 1})


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param(
            {"type": "string", "pattern": r"^a(?![\s\S])", "title": "a word"},
            {"type": "string", "pattern": "^a$", "description": "A word"},
            id="a-pattern-without-look-ahead",
        ),
        pytest.param(
            {"type": ["string", "number"], "exclusiveMinimum": 0},
            {"x-kubernetes-preserve-unknown-fields": True},
            id="a-number-with-decimals-or-a-string-is-left-open",
        ),
        pytest.param(
            {"type": ["string", "integer"], "minimum": 0},
            {"x-kubernetes-int-or-string": True, "minimum": 0},
            id="a-whole-number-or-a-string",
        ),
        pytest.param(
            {"type": ["object", "null", "string"], "properties": {"a": {}}, "required": ["a"]},
            {"nullable": True, "x-kubernetes-preserve-unknown-fields": True},
            id="an-object-or-a-string-is-left-open",
        ),
        pytest.param(
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"a": {"type": "string"}, "b": {"const": "x", "type": "string"}},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"enum": ["x"], "type": "string"}},
                "x-kubernetes-validations": [
                    {
                        "rule": "has(self.a) != has(self.b)",
                        "message": "write exactly one of a and b",
                    }
                ],
            },
            id="one-of-two",
        ),
        pytest.param(
            {"type": "object"},
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="an-object-of-any-members",
        ),
        pytest.param(
            {"$ref": "core.json#/$defs/stringMap", "description": "labels"},
            {
                "description": "labels",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
            id="a-reference",
        ),
    ],
)
def test_a_node_becomes_structural(node: Any, expected: Any) -> None:
    assert definitions.structural(node, {}) == expected


def test_a_match_is_put_into_itself_once() -> None:
    match = spec_of("InjectionPolicy")["properties"]["match"]

    assert "kinds" in match["properties"]["exclude"]["properties"]
    assert "exclude" not in match["properties"]["exclude"]["properties"]


def undescribed(node: Any, path: str) -> list[str]:
    """Name the fields of which `kubectl explain` says `<no description>`."""
    found = []
    for name, one in node.get("properties", {}).items():
        found += [] if one.get("description") else [f"{path}.{name}"]
        found += undescribed(one, f"{path}.{name}")
        found += undescribed(one.get("items", {}), f"{path}.{name}[]")
    return found


@pytest.mark.parametrize("kind", sorted(faults.SCHEMAS))
@pytest.mark.parametrize("part", ["spec", "status"])
def test_kubectl_explain_describes_every_field(kind: str, part: str) -> None:
    (version,) = definitions.definition(kind)["spec"]["versions"]
    node = version["schema"]["openAPIV3Schema"]["properties"][part]

    assert node.get("description")
    assert undescribed(node, part) == []


def test_a_time_in_the_future_is_printed_as_it_is() -> None:
    (version,) = definitions.definition("PolicyException")["spec"]["versions"]

    assert {
        "name": "Expires",
        "type": "string",  # of a date kubectl prints how long ago it was: <invalid>
        "jsonPath": ".spec.expires",
    } in version["additionalPrinterColumns"]
