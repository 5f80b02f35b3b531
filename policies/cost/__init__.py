"""
What keeps expressions from stalling admission: every one works against a budget, and stops at it.

The runtime stops a comprehension after 10,000 iterations and bounds nothing else, so a few hundred
characters can build or compare gigabytes. Here a compiled expression's tree is rewritten before
it runs:

- each call whose work depends on the size of what it gets is charged for these sizes first,
- each list or map that an expression builds is charged for what it holds, shared parts as often
  as they appear, so that nothing can hold more than was paid for,
- each turn of a comprehension is charged for its body, and for copying what it has gathered.

What belongs here: the tree and its rewriting, the prices, the budget. What doesn't: which
expressions there are, and what follows when one of them fails.
"""

OVERLAID = ("params", "variables")  # given by functions of these names with `@`, by member
EVERY = "*"
