"""spec.match, member by member, without an engine around it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies import match
from policies.match import Target
from policies.model import LabelSelector, Match, NamespaceMatch, Subjects, User

TARGET = Target(
    kind="Job.batch",
    operation="CREATE",
    namespace="ml-dev",
    namespace_labels={"team": "nlp"},
    labels={"app": "bert", "tier": "gpu"},
    owner="CronJob.batch",
    user=User(username="system:serviceaccount:argo:runner", groups=("system:authenticated",)),
    intents=frozenset({"accelerator", "shm"}),
)


def expression(key: str, operator: str, *values: str) -> Match:
    item = {"key": key, "operator": operator, "values": list(values)}
    return Match(objects=LabelSelector(match_expressions=(item,)))


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        pytest.param(Match(), True, id="everything"),
        pytest.param(Match(kinds=("Job.batch",)), True, id="kind-with-group"),
        pytest.param(Match(kinds=("Job",)), True, id="kind-alone"),
        pytest.param(Match(kinds=("Job.batch.volcano.sh",)), False, id="same-kind-of-other-group"),
        pytest.param(Match(kinds=("Pod", "Job.batch")), True, id="any-kind"),
        pytest.param(Match(operations=("UPDATE",)), False, id="operation"),
        pytest.param(Match(operations=("*",)), True, id="any-operation"),
        pytest.param(Match(namespaces=NamespaceMatch(names=("ml-*",))), True, id="glob"),
        pytest.param(Match(namespaces=NamespaceMatch(names=("ml",))), False, id="whole-name"),
        pytest.param(
            Match(
                namespaces=NamespaceMatch(
                    names=("ml-*",), selector=LabelSelector(match_labels={"team": "cv"})
                )
            ),
            False,
            id="name-and-selector-both",
        ),
        pytest.param(
            Match(objects=LabelSelector(match_labels={"app": "bert", "tier": "gpu"})),
            True,
            id="labels",
        ),
        pytest.param(
            Match(objects=LabelSelector(match_labels={"app": "bert", "tier": "cpu"})),
            False,
            id="all-labels",
        ),
        pytest.param(expression("app", "In", "bert", "gpt"), True, id="in"),
        pytest.param(expression("nope", "In", "bert"), False, id="in-absent"),
        pytest.param(expression("app", "NotIn", "gpt"), True, id="not-in"),
        pytest.param(expression("nope", "NotIn", "gpt"), True, id="not-in-absent"),
        pytest.param(expression("app", "Exists"), True, id="exists"),
        pytest.param(expression("app", "DoesNotExist"), False, id="does-not-exist"),
        pytest.param(Match(owners=("CronJob.batch",)), True, id="owner"),
        pytest.param(Match(owners=("CronJob",)), True, id="owner-without-group"),
        pytest.param(
            Match(subjects=Subjects(service_accounts=("argo:*",))), True, id="service-account"
        ),
        pytest.param(
            Match(subjects=Subjects(service_accounts=("other:*",))), False, id="other-account"
        ),
        pytest.param(Match(subjects=Subjects(groups=("system:auth*",))), True, id="group-glob"),
        pytest.param(
            Match(subjects=Subjects(users=("ann",), groups=("admins",))), False, id="no-subject"
        ),
        pytest.param(Match(intents=("shm",)), True, id="intent"),
        pytest.param(Match(intents=("shm", "queue")), False, id="every-intent"),
        pytest.param(Match(exclude=Match(kinds=("Job",))), False, id="excluded"),
        pytest.param(
            Match(exclude=Match(kinds=("Job",), operations=("UPDATE",))),
            True,
            id="all-of-exclude-must-hold",
        ),
    ],
)
def test_a_match_holds(given: Match, holds: bool) -> None:
    assert match.compiled(given)(TARGET) is holds


def test_an_ordinary_user_is_no_service_account() -> None:
    target = replace(TARGET, user=User(username="argo:runner"))

    assert match.compiled(Match(subjects=Subjects(service_accounts=("*",))))(target) is False


def test_a_target_without_an_owner_has_none() -> None:
    assert match.compiled(Match(owners=("ReplicaSet",)))(replace(TARGET, owner="")) is False
