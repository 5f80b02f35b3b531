"""
Stages: what happens to a Pod, and what happens to a workload, step by step.

What belongs here is the order of steps and what they share; how a family injects does not.
"""
