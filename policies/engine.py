"""The one pipeline: a request, the policies and the facts in, a decision out."""

from __future__ import annotations

from policies.model import Decision, Facts, PolicySet, Request


def review(request: Request, policies: PolicySet, facts: Facts) -> Decision:
    """Decide what the webhook answers for `request`."""
    return Decision(object=request.object)


def render(request: Request, policies: PolicySet, facts: Facts) -> Decision:
    """Decide what the pods of `request.object` will be, folded back into its templates."""
    return Decision(object=request.object)
