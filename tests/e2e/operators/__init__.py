"""
Real operators beside our webhook: what their webhooks refuse is wrong, and the pods that their
controllers make are what `render` and `demand` must have foretold.

Each is a Go module, built from a module of tools of its own (`make operators`) and run outside of
the cluster. They are Kubernetes programs like any other, so nothing of them is replaced: their own
manifests are installed, with their webhook's Service pointed at the local process.
"""
