"""
Injection: one module a family, each an `inject(pod, …)` that edits one pod draft.

What belongs here adds to a pod or a workload; what judges it does not. The engine alone puts the
families in order.
"""
