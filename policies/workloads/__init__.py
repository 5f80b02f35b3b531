"""
Workloads: the catalogue of kinds that make pods, and where in them the pods hide.

What belongs here is knowledge of kinds; what is done to their pods does not.
"""
