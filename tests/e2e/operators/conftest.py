"""One control plane for all operators, with our webhook and fake GPU nodes."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import acting
from tests.e2e import installed as installation
from tests.e2e.acting import Place
from tests.e2e.controlplane import cluster, errors
from tests.e2e.operators import knative_serving, kserve_controller, programs


@pytest.fixture(scope="session")
def beside(
    planes: Callable[[str], cluster.ControlPlane], pytestconfig: pytest.Config
) -> Iterator[installation.Installed]:
    """Have the operators run, and our webhook beside them: it knows that they are installed."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():  # a build takes minutes, and says so
        try:
            control_plane = planes("operators")
            for operator in programs.ALL:
                programs.start(control_plane, operator)
            knative_serving.start(control_plane)
            kserve_controller.start(control_plane)
        except errors.NotAvailableError as error:
            pytest.skip(str(error))
    made = installation.Installed(control_plane, control_plane.directory)
    made.install()
    made.start()
    yield made
    made.uninstall()
    knative_serving.kill(control_plane)


@pytest.fixture
def enabled(beside: installation.Installed) -> Iterator[Place]:
    """Give a namespace where our webhook acts, and a user of it."""
    with acting.place(beside, installation.ENABLED) as place:
        yield place


@pytest.fixture
def plain(beside: installation.Installed) -> Iterator[Place]:
    """Give a namespace where our webhook doesn't act, and a user of it."""
    with acting.place(beside, {}) as place:
        yield place
