"""
What the webhook costs, measured: `python -m bench`, or `make bench`.

Each section is a module with `run(options) -> dict`; what they give lands in `build/bench.json`.
"""
