"""
The functions that Kubernetes adds to CEL and the runtime lacks, one module for each library.

What belongs here: the functions, in tables, and how they are made known to the runtime. What
doesn't: expressions, and when they are asked (`policies.conditions`).
https://kubernetes.io/docs/reference/using-api/cel/
"""
