"""
What `make demo` runs: the real webhook on loopback, asked as an API server would ask it.

What belongs here plays the cluster's part (send reviews, make pods of workloads) and shows the
answers. It decides nothing, and is no part of the wheel.
"""
