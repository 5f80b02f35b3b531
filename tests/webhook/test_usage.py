"""What the table tells of an object: what is counted of it, and what its owner has left."""

from __future__ import annotations

from decimal import Decimal

import pytest

from policies.quota.ledger import Amounts, Seen, key_of
from tests.policies.quota.test_trees import charge, entry
from webhook.usage import Usage

OURS = ("gpus", "ml")


def usage() -> Usage:
    made = Usage()
    for one in (
        entry("job", charge(3)),
        entry("one", charge(1), owner="job"),
        entry("pod-leaving", charge(2), owner="job", ending=True),
        entry("foreign", charge(1, group="theirs")),
    ):
        made.put(one)
    return made


@pytest.mark.parametrize(
    ("uid", "counted"),
    [
        pytest.param("job", {"pods": Decimal(3)}, id="what it asks for"),
        pytest.param("one", {}, id="but not what its owner is charged with"),
        pytest.param("foreign", {}, id="nor what another group is"),
    ],
)
def test_what_is_counted_of_an_object(uid: str, counted: Amounts) -> None:
    assert usage().seen(key_of(uid), OURS) == Seen(counted=counted, version=0)


def test_what_replaces_a_pod_that_is_being_deleted_has_its_place() -> None:
    found = usage().room("job", "gpus", "ml")

    assert found is not None
    assert found[1] == {"pods": Decimal(2)}
    assert usage().used(OURS) == {"pods": Decimal(3)}


def test_an_owner_of_another_namespace_has_room_for_nothing() -> None:
    assert usage().room("job", "gpus", "theirs") is None


def test_who_names_another_persons_workload_takes_none_of_its_room() -> None:
    made = Usage()
    for one in (
        entry("job", charge(3, group="ann", by="users")),
        entry("pod", charge(2, group="ben", by="users"), owner="job"),
    ):
        made.put(one)

    found = made.room("job", "users", "ml")

    assert found is not None
    assert found[1] == {"pods": Decimal(3)}
    assert made.used(("users", "ben")) == {"pods": Decimal(2)}
    assert made.holders(("users", "ben")) == [("pod", {"pods": Decimal(2)})]
    assert made.holders(("users", "ann")) == [("job", {"pods": Decimal(3)})]
    assert made.seen(key_of("pod"), ("users", "ben")) == Seen(
        counted={"pods": Decimal(2)}, version=0
    )
