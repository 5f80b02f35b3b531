"""What was injected can be taken out again, exactly: strip(inject(x)) is x."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from policies.model import Facts, Manifest
from tests.builders import INJECTED, plain, review, stripped
from tests.policies import strategies

STAGES = st.sampled_from(("admission", "template"))


@given(strategies.objects(), strategies.policies(), strategies.facts, STAGES)
def test_strip_undoes_inject(obj: Manifest, added: str, facts: Facts, stage: str) -> None:
    assume(INJECTED not in str(obj))

    injected = review(obj, added, facts, stage=stage).object

    assert plain(stripped(injected).object) == plain(obj)
