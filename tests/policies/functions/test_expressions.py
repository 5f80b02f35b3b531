"""Each function of Kubernetes' library in a rule, through the front door."""

from typing import Any

import pytest
import yaml

from policies import engine, load
from policies.errors import InvalidPolicies
from policies.model import Facts, PolicySet, Request, User
from tests.policies.functions import expressions
from tests.policies.functions.expressions import FAILS, REFUSED

FACTS = Facts(namespaces={"ml": {"kubernetes.io/metadata.name": "ml"}})
ADA = User(username="ada", groups=("system:authenticated",))


def guard(expression: str, **more: Any) -> PolicySet:
    rule = {"expression": expression, "message": "No."}
    document = {
        "kind": "GuardPolicy", "metadata": {"name": "g"}, "spec": {"rules": [rule], **more},
    }  # fmt: skip
    return load.policy_set(
        [load.Document(file="p.yaml", number=1, value=yaml.safe_load(yaml.safe_dump(document)))]
    )


def outcome(expression: str) -> bool | str:
    try:
        known = guard(expression)
    except InvalidPolicies:
        return REFUSED
    asked = Request(
        operation="CREATE", group="", version="v1", kind="Pod", resource="/v1/pods",
        namespace="ml", name="probe", object=expressions.pod(), user=ADA,
    )  # fmt: skip
    said = [one.message for one in engine.review(asked, known, FACTS).violations]
    if not said:
        return True
    return False if said == ["No."] else FAILS


@pytest.mark.parametrize(("expression", "expected"), expressions.table())
def test_expressions_of_kubernetes(expression: str, expected: bool | str) -> None:
    assert outcome(expression) == expected


@pytest.mark.parametrize(("expression", "expected", "_theirs"), expressions.OTHERWISE)
def test_where_we_differ(expression: str, expected: bool | str, _theirs: bool | str) -> None:
    assert outcome(expression) == expected
