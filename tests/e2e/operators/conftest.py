"""One control plane for all operators, with our webhook and fake GPU nodes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.e2e import acting
from tests.e2e import installed as installation
from tests.e2e.acting import Place
from tests.e2e.controlplane import errors, waiting
from tests.e2e.operators import knative_serving, kserve_controller, programs
from tests.e2e.planes import Planes


@pytest.fixture(scope="session")
def beside(planes: Planes, pytestconfig: pytest.Config) -> Iterator[installation.Installed]:
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


@contextmanager
def place(beside: installation.Installed, labels: Mapping[str, str]) -> Iterator[Place]:
    """Give a namespace and a user of it; its devices are the next test's when this one ends."""
    with acting.place(beside, labels) as made:
        yield made
    waiting.until(lambda: _is_empty(made), what=f"{made.name} to give its devices back")


def _is_empty(place: Place) -> bool:
    """End what is left: pods wait for their grace period, and for operators' finalizers."""
    left = place.admin.get(place.path("Pod"))["items"]
    for pod in left:
        path = place.path("Pod", pod["metadata"]["name"])
        place.admin.request(
            "PATCH",
            path,
            {"metadata": {"finalizers": None}},
            content_type="application/merge-patch+json",
        )
        place.admin.request("DELETE", f"{path}?gracePeriodSeconds=0")
    return not left


@pytest.fixture
def enabled(beside: installation.Installed) -> Iterator[Place]:
    """Give a namespace where our webhook acts, and a user of it."""
    with place(beside, installation.ENABLED) as made:
        yield made


@pytest.fixture
def plain(beside: installation.Installed) -> Iterator[Place]:
    """Give a namespace where our webhook doesn't act, and a user of it."""
    with place(beside, {}) as made:
        yield made
