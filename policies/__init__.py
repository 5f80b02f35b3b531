"""
The engine: intents and policies in, decisions out.

What belongs here is pure and synchronous: locating pods, matching, injecting, guarding, counting.
HTTP, click, the clock, the environment and the cluster do not; `load` alone reads policy files.
"""
