"""
The plugin: flags become a spec, the spec a manifest, the manifest goes through the engine.

What belongs here is the terminal and the cluster behind it; what is injected, `policies` knows.
"""
