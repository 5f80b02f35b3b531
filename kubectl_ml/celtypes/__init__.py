"""
What the parts of a CEL expression are of, without running it.

Here belong its syntax tree, the fields of Kubernetes' kinds, and what they say of each other; what
`policy lint` makes of that belongs there.
"""
