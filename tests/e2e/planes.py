"""The control planes of a test run, and the webhook installed in them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.e2e.controlplane import build, cluster, nodes
from tests.e2e.installed import Installed


@dataclass
class Planes:
    """
    Control planes by name, each started when first asked for, with fake GPU nodes.

    keep_logs: told of a control plane that is about to stop; says whether its logs are wanted.
    """

    programs: build.Programs
    keep_logs: Callable[[cluster.ControlPlane], bool]
    _made: dict[str, "_Plane"] = field(default_factory=dict)
    _turn: str | None = None

    def __call__(self, name: str) -> cluster.ControlPlane:
        """Give the one of this name."""
        return self._plane(name).control_plane

    def turn_to(self, name: str) -> cluster.ControlPlane:
        """Give the one of this name, and stop the one that was turned to before: idle ones cost."""
        if self._turn not in (None, name):
            self._end(self._turn)
        self._turn = name
        return self(name)

    def installed(self, control_plane: cluster.ControlPlane) -> Installed:
        """Have the webhook installed in one of them as it is shipped, and running at first."""
        (plane,) = [one for one in self._made.values() if one.control_plane is control_plane]
        if plane.installed is None:
            plane.installed = Installed(control_plane, control_plane.directory)
            plane.installed.install()
            plane.installed.start()
        return plane.installed

    def end(self) -> None:
        """Stop them all."""
        with ExitStack() as stack:
            for name in self._made:
                stack.callback(self._end, name)

    def _plane(self, name: str) -> "_Plane":
        if name not in self._made:
            stack = ExitStack()
            started = stack.enter_context(cluster.ControlPlane(programs=self.programs))
            self._made[name] = _Plane(started, stack)
            started.add_nodes(*nodes.FLEET)
        return self._made[name]

    def _end(self, name: str | None) -> None:
        plane = self._made.pop(name or "", None)
        if plane is None:
            return
        with plane.stack:
            if plane.installed is not None:
                plane.installed.uninstall()
            if self.keep_logs(plane.control_plane):
                plane.control_plane.keep_logs()


@dataclass
class _Plane:
    control_plane: cluster.ControlPlane
    stack: ExitStack
    installed: Installed | None = None
