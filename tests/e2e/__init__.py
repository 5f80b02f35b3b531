"""
Tests against a real API server, and what starts one.

Here belong tests that need a cluster; `pytest tests/e2e` runs them, plain `pytest` doesn't.
What they run on is in `controlplane/`.
"""
