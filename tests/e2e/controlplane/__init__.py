"""
A Kubernetes control plane of plain processes: no containers, no root.

Here belongs what builds, starts, fills and ends it; tests live beside this package.
`cluster.ControlPlane` is the door: `with ControlPlane() as control_plane: ...`.
"""
