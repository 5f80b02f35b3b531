"""The index gives every policy that matches, in order, and hardly one that doesn't."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import match
from policies.index import ANY_KIND, Index
from policies.match import Target
from policies.model import LabelSelector, Match, NamespaceMatch, Subjects, User

TARGET = Target(
    kind="Pod",
    operation="CREATE",
    namespace="ml-dev",
    namespace_labels={"team": "nlp"},
    labels={"app": "bert"},
    owner="Job.batch",
    user=User(username="ann", groups=("staff",)),
    intents=frozenset({"accelerator"}),
)

NAMES = st.sampled_from(["a", "b", "ab"])
GLOBS = st.sampled_from(["a", "b", "a*", "*"])
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), NAMES)
KINDS = st.sampled_from(["Pod", "Job", "Job.batch", "Service"])
INTENTS = st.sampled_from(["accelerator", "shm", "queue"])


def lists(of: st.SearchStrategy[str], size: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(of, max_size=size, unique=True).map(tuple)


EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["x", "y"]),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(NAMES, max_size=2),
        }
    ),
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["x", "y"]),
            "operator": st.sampled_from(["Exists", "DoesNotExist"]),
        }
    ),
)
SELECTORS = st.builds(
    LabelSelector,
    match_labels=LABELS,
    match_expressions=st.lists(EXPRESSIONS, max_size=2).map(tuple),
)


def matches(exclude: st.SearchStrategy[Match | None]) -> st.SearchStrategy[Match]:
    return st.builds(
        Match,
        kinds=lists(KINDS),
        operations=lists(st.sampled_from(["CREATE", "DELETE", "*"])),
        namespaces=st.none()
        | st.builds(NamespaceMatch, names=lists(GLOBS), selector=st.none() | SELECTORS),
        objects=st.none() | SELECTORS,
        owners=lists(KINDS, 1),
        subjects=st.none() | st.builds(Subjects, users=lists(GLOBS), groups=lists(GLOBS)),
        intents=lists(INTENTS),
        exclude=exclude,
    )


MATCHES = matches(st.none() | matches(st.none()))
TARGETS = st.builds(
    Target,
    kind=st.sampled_from(["Pod", "Job.batch", "Service"]),
    operation=st.sampled_from(["CREATE", "DELETE"]),
    namespace=NAMES,
    namespace_labels=LABELS,
    labels=LABELS,
    owner=st.sampled_from(["", "Job.batch", "Other"]),
    user=st.builds(User, username=NAMES, groups=lists(NAMES)),
    intents=lists(INTENTS).map(frozenset),
)


@given(st.lists(MATCHES, max_size=12), st.lists(TARGETS, min_size=1, max_size=6))
def test_finds_what_asking_everyone_would_find(given: list[Match], targets: list[Target]) -> None:
    index = Index(list(zip(given, range(len(given)), strict=True)), default=ANY_KIND)
    holds = [match.compiled(one) for one in given]

    found = [
        [number for number in index.candidates(target) if holds[number](target)]
        for target in targets
    ]

    assert found == [
        [number for number, held in enumerate(holds) if held(target)] for target in targets
    ]


def selector(key: str, operator: str, *values: str) -> LabelSelector:
    return LabelSelector(
        match_expressions=({"key": key, "operator": operator, "values": list(values)},)
    )


@pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(Match(kinds=("Service",)), id="kind"),
        pytest.param(Match(operations=("UPDATE",)), id="operation"),
        pytest.param(Match(intents=("accelerator", "queue")), id="one-intent-of-two"),
        pytest.param(Match(namespaces=NamespaceMatch(names=("dev",))), id="namespace"),
        pytest.param(Match(namespaces=NamespaceMatch(names=("dev-*",))), id="glob"),
        pytest.param(
            Match(namespaces=NamespaceMatch(selector=selector("team", "In", "cv"))),
            id="labels-of-the-namespace",
        ),
        pytest.param(Match(objects=LabelSelector(match_labels={"app": "gpt"})), id="label"),
        pytest.param(Match(objects=selector("app", "In", "gpt", "t5")), id="labels"),
        pytest.param(Match(objects=selector("tier", "Exists")), id="key-of-a-label"),
        pytest.param(Match(owners=("ReplicaSet",)), id="owner"),
        pytest.param(Match(subjects=Subjects(groups=("admins*",))), id="subject"),
        pytest.param(Match(exclude=Match(kinds=("Pod",))), id="excluded"),
    ],
)
def test_does_not_ask_policies_that_are_for_others(elsewhere: Match) -> None:
    index = Index([*((elsewhere, "other") for _ in range(1000)), (Match(), "ours")], default="Pod")

    assert index.candidates(TARGET) == ["ours"]


def test_what_users_choose_does_not_undo_the_memory() -> None:
    """Labels and owners that nobody asks for make no sort of target of their own."""
    index = Index([(Match(), "all")], default="Pod")

    same = [
        index.candidates(replace(TARGET, owner=f"Owner{one}.x", labels={"n": f"{one}"}))
        is index.candidates(TARGET)
        for one in range(3)
    ]

    assert same == [True, True, True]
