"""The names of policies on the command line, and their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kubectl_ml import flags, policy_flags, words

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class PolicyName(flags.Word):
    """The name of a policy; completes from the library and `--policies`."""

    name = "policy"

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds  # none: all

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the policies that begin with what is there."""
        from kubectl_ml import policy_objects, policy_words

        found = policy_objects.read(policy_flags.for_completion(ctx))
        kinds = self.kinds or policy_objects.POLICIES
        return words.offer(
            {one.name: policy_words.does(one.kind, one.spec) for one in found if one.kind in kinds},
            incomplete,
        )
