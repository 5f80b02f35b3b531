"""What objects use together: owners, their pods, and who owns what nobody has seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import yaml

from policies import load
from policies.model import Manifest
from policies.quota.charges import NONE, Charge
from policies.quota.ledger import Amounts
from policies.quota.policy import QuotaPolicy
from policies.quota.trees import Account, Entry, Forest, entry_of, total


def policy(name: str) -> QuotaPolicy:
    spec = {"budget": {"pods": 9}, "groupBy": "user" if name == "users" else "namespace"}
    document = {"kind": "QuotaPolicy", "metadata": {"name": name}, "spec": spec}
    text = yaml.safe_dump(document)
    documents = [load.Document(file="quota.yaml", number=1, value=yaml.safe_load(text))]
    (found,) = load.policy_set(documents, base=load.library()).quotas
    return found


POLICIES = {name: policy(name) for name in ("gpus", "more", "users")}


def charge(asks: int, now: int | None = None, group: str = "ml", by: str = "gpus") -> Charge:
    steady = asks if now is None else now
    return Charge(
        policy=POLICIES[by],
        group=group,
        amounts={"pods": Decimal(asks)},
        steady={"pods": Decimal(steady)},
    )


def entry(
    uid: str, *charges: Charge, owner: str = "", ending: bool = False, namespace: str = "ml"
) -> Entry:
    """Make an object; those named `pod…` are pods."""
    reference = {"kind": "Any", "name": "any", "uid": owner, "controller": True}
    obj: Manifest = {
        "metadata": {
            "uid": uid,
            "name": uid,
            "namespace": namespace,
            "ownerReferences": [reference] if owner else [],
            **({"deletionTimestamp": "2026-11-26T12:00:00Z"} if ending else {}),
        }
    }
    kind = "Pod" if uid.startswith("pod") else "Any.example.com"
    return entry_of(obj, kind=kind, charges=charges)


def forest(*entries: Entry) -> Forest:
    made = Forest()
    for one in entries:
        made.plant(one)
    return made


def used(*entries: Entry) -> dict[str, dict[Account, int]]:
    """Tell what each root of a forest adds, whichever order the objects come in."""
    found = [_used(entries), _used(entries[::-1])]
    assert found[0] == found[1]
    return found[0]


def _used(entries: Any) -> dict[str, dict[Account, int]]:
    made = forest(*entries)
    return {
        uid: {account: int(each["pods"]) for account, each in made.uses(uid).items()}
        for uid in sorted(made.entries)
        if made.root(uid) == uid
    }


GPUS = ("gpus", "ml")
MORE = ("more", "ml")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([entry("pod", charge(1))], {"pod": {GPUS: 1}}, id="a bare pod counts"),
        pytest.param(
            [entry("job", charge(3)), entry("pod", charge(1), owner="job")],
            {"job": {GPUS: 3}},
            id="pods are free within their owner's",
        ),
        pytest.param(
            [
                entry("job", charge(1)),
                *(entry(f"pod-{n}", charge(2), owner="job") for n in range(2)),
            ],
            {"job": {GPUS: 4}},
            id="what they ask for beyond it is charged",
        ),
        pytest.param(
            [
                entry("job", charge(1)),
                entry("leaving", charge(5), owner="job", ending=True),
            ],
            {"job": {GPUS: 1}},
            id="a member that is being deleted is its root's business",
        ),
        pytest.param(
            [
                entry("job", charge(1)),
                entry("pod-leaving", charge(5), owner="job", ending=True),
                entry("pod-kept", charge(3), owner="pod-leaving"),
            ],
            {"job": {GPUS: 8}},
            id="but a pod runs until it is gone, as does what it owns",
        ),
        pytest.param(
            [
                entry("deployment", charge(5, now=4)),
                entry("old", charge(2), owner="deployment"),
                entry("new", charge(3), owner="deployment"),
                *(entry(f"old-{n}", charge(1), owner="old") for n in range(2)),
                *(entry(f"new-{n}", charge(1), owner="new") for n in range(3)),
            ],
            {"deployment": {GPUS: 5}},
            id="a rollout stays within its peak",
        ),
        pytest.param(
            [
                entry("deployment", charge(5, now=4)),
                entry("set", charge(9, now=4), owner="deployment"),
            ],
            {"deployment": {GPUS: 5}},
            id="a member counts with what it asks for now, not with its peak",
        ),
        pytest.param(
            [
                entry("deployment", charge(1)),
                entry("set", charge(0), owner="deployment"),
                entry("pod", charge(6), owner="set"),
            ],
            {"deployment": {GPUS: 6}},
            id="what hangs lower counts, too",
        ),
        pytest.param(
            [entry("pod", charge(2), owner="nobody")],
            {"pod": {GPUS: 2}},
            id="an owner that isn't there covers nothing",
        ),
        pytest.param(
            [
                entry("job", charge(3, group="theirs"), namespace="theirs"),
                entry("pod", charge(2), owner="job"),
            ],
            {"job": {("gpus", "theirs"): 3}, "pod": {GPUS: 2}},
            id="nor does one of another namespace",
        ),
        pytest.param(
            [entry("owner"), entry("pod", charge(2), owner="owner")],
            {"owner": {GPUS: 2}},
            id="an owner that the policy doesn't cover covers nothing",
        ),
        pytest.param(
            [entry("pod", charge(2)), entry("pod-2", charge(2), owner="pod")],
            {"pod": {GPUS: 4}},
            id="a pod runs itself, so that it covers no other",
        ),
        pytest.param(
            [
                entry("pod", charge(2)),
                entry("job", charge(3, now=1), owner="pod"),
                entry("pod-2", charge(1), owner="job"),
            ],
            {"pod": {GPUS: 5}},
            id="nor a workload, which counts with its peak",
        ),
        pytest.param(
            [
                entry("spark", charge(4)),
                entry("pod-driver", charge(1), owner="spark"),
                *(entry(f"pod-{n}", charge(1), owner="pod-driver") for n in range(4)),
            ],
            {"spark": {GPUS: 5}},
            id="a driver counts beside its executors",
        ),
        pytest.param(
            [
                entry("job", charge(3)),
                entry("pod", charge(1), charge(1, by="more"), owner="job"),
            ],
            {"job": {GPUS: 3, MORE: 1}},
            id="each policy counts by itself",
        ),
        pytest.param(
            [
                entry("job", charge(3, group="ann")),
                entry("pod", charge(1, group="ben"), owner="job"),
            ],
            {"job": {("gpus", "ann"): 3}},
            id="owned pods are their owner's group's",
        ),
        pytest.param(
            [
                entry("owner"),
                entry("one", charge(1, group="ann"), owner="owner"),
                entry("two", charge(2, group="ben"), owner="owner"),
                entry("three", charge(4, group="ann"), owner="owner"),
            ],
            {"owner": {("gpus", "ann"): 5, ("gpus", "ben"): 2}},
            id="members of several groups each count for theirs",
        ),
    ],
)
def test_what_a_tree_uses(entries: list[Entry], expected: dict[str, dict[Account, int]]) -> None:
    assert used(*entries) == expected


ROBOT = "system:serviceaccount:ml:spark"


def theirs(asks: int, group: str) -> Charge:
    return charge(asks, group=group, by="users")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            [entry("job", theirs(3, "ann")), entry("pod", theirs(2, "ben"), owner="job")],
            {"ann": 3, "ben": 2},
            id="who names another's workload",
        ),
        pytest.param(
            [
                entry("job", theirs(1, "ann")),
                entry("pod-0", theirs(2, NONE), owner="job"),
                entry("pod-1", theirs(2, "ann"), owner="job"),
                entry("pod-2", theirs(2, ROBOT), owner="job"),
            ],
            {"ann": 6},
            id="but not its owner, its controller or its driver",
        ),
        pytest.param(
            [
                entry("deployment", theirs(3, "ann")),
                entry("set", theirs(2, "ben"), owner="deployment"),
                *(entry(f"pod-{n}", theirs(1, NONE), owner="set") for n in range(3)),
                entry("pod-ann", theirs(1, "ann"), owner="set"),
            ],
            {"ann": 4, "ben": 3},
            id="with what is made of it",
        ),
        pytest.param(
            [
                entry("job", theirs(1, "ann")),
                entry("pod", theirs(2, "ben"), owner="job"),
                entry("pod-2", theirs(2, "ben"), owner="pod"),
            ],
            {"ann": 1, "ben": 4},
            id="or named by it",
        ),
    ],
)
def test_a_person_pays_for_what_she_makes(entries: list[Entry], expected: dict[str, int]) -> None:
    (tree,) = used(*entries).values()
    assert {account[1]: number for account, number in tree.items()} == expected


def test_owners_in_a_circle_are_counted_once() -> None:
    made = forest(
        entry("pod-a", charge(1), owner="pod-b"),
        entry("pod-b", charge(2), owner="pod-c"),
        entry("pod-c", charge(4), owner="pod-a"),
        entry("pod-d", charge(8), owner="pod-c"),
    )

    assert {made.root(uid) for uid in made.entries} == {"pod-a"}
    assert made.uses("pod-a") == {GPUS: {"pods": Decimal(15)}}


def test_an_object_that_owns_itself_gains_nothing() -> None:
    made = forest(entry("a", charge(3), owner="a"))

    assert (made.root("a"), made.uses("a")) == ("a", {GPUS: {"pods": Decimal(3)}})


def test_a_new_owner_takes_a_member_over() -> None:
    made = forest(entry("job", charge(2)), entry("pod", charge(1), owner="job"))

    made.plant(entry("pod", charge(1)))

    assert (made.root("pod"), made.members) == ("pod", {})


def test_who_is_felled_leaves_its_members() -> None:
    made = forest(
        entry("job", charge(1)),
        entry("pod", charge(2), owner="job"),
        entry("other", charge(1), owner="job"),
    )

    made.fell("job")
    made.fell("other")

    assert (made.root("pod"), made.uses("pod")) == ("pod", {GPUS: {"pods": Decimal(2)}})
    assert made.members == {"job": {"pod"}}


def test_what_members_ask_for_now() -> None:
    job = entry("job", charge(9), charge(9, by="more"))
    made = forest(
        job,
        entry("one", charge(2), owner="job"),
        entry("two", charge(3), charge(1, by="more"), owner="job"),
    )

    assert [made.used_by_members(job, name) for name in ("gpus", "more", "none")] == [
        {"pods": Decimal(5)},
        {"pods": Decimal(1)},
        {},
    ]


@pytest.mark.parametrize(
    ("references", "owner"),
    [
        ([{"uid": "a"}, {"uid": "b", "controller": True}], "b"),
        ([{"uid": "a", "controller": False}], ""),
        ([{"uid": "a", "controller": "true"}], ""),
        ([{"controller": True}], ""),
        (None, ""),
    ],
)
def test_only_the_controller_is_an_owner(references: Any, owner: str) -> None:
    obj = {"metadata": {"uid": "u", "name": "x", "ownerReferences": references}}

    assert entry_of(obj, kind="Pod", charges=(), version=7) == Entry(
        uid="u",
        kind="Pod",
        namespace="",
        name="x",
        version=7,
        owner=owner,
        terminating=False,
        charges={},
        steady={},
    )


def test_amounts_of_different_things_add_up() -> None:
    one: Amounts = {"pods": Decimal(1), "cpu": Decimal(2)}

    assert total(one, {"pods": Decimal(3)}) == {"pods": Decimal(4), "cpu": Decimal(2)}
