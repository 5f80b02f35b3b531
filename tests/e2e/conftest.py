"""
Fixtures of the tests against a real API server.

They start a control plane, so they run only when asked for: `pytest tests/e2e`, or `-m e2e`.
"""

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.e2e import acting
from tests.e2e import installed as installation
from tests.e2e.controlplane import build, cluster, crds, errors
from tests.e2e.planes import Planes

HERE = Path(__file__).parent
SHARED = "shared"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests alone unless they were asked for."""
    return None if _asked_for(config) else True


def _asked_for(config: pytest.Config) -> bool:
    marks = re.sub(r"not\s+e2e\b", "", config.getoption("markexpr"))
    named = (config.invocation_params.dir / argument.split("::")[0] for argument in config.args)
    return bool(re.search(r"\be2e\b", marks)) or any(
        path.resolve().is_relative_to(HERE) for path in named
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and have the tests of one control plane follow each other."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
    order = list(dict.fromkeys(_plane_of(item.path) for item in ours))
    ours.sort(key=lambda item: order.index(_plane_of(item.path)))
    items[:] = [item for item in items if not item.path.is_relative_to(HERE)] + ours


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With `-n`, give all tests of one control plane to one process."""
    return _ByControlPlane(config, log)


class _ByControlPlane(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _plane_of(self.config.rootpath / nodeid.partition("::")[0])


@functools.cache
def _plane_of(module: Path) -> str:
    """Read which control plane a module says that it has; where tests are given out none is run."""
    said = re.search(r'^CONTROL_PLANE = "([^"]+)"', module.read_text(), re.MULTILINE)
    return said[1] if said else SHARED


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> build.Programs:
    """Find the control plane's programs; build them, saying so, where Go is there."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        try:
            return build.ensure()
        except errors.NotAvailableError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def planes(
    programs: build.Programs, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[Planes]:
    """Give control planes by name; where a test failed, say where their logs are."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None

    def keep_logs(control_plane: cluster.ControlPlane) -> bool:
        if request.session.testsfailed:
            with capture.global_and_fixture_disabled():
                print(f"\nthe control plane's logs are in {control_plane.logs}")
        return bool(request.session.testsfailed)

    planes = Planes(programs, keep_logs)
    yield planes
    planes.end()


@pytest.fixture(scope="module")
def controlplane(planes: Planes, request: pytest.FixtureRequest) -> cluster.ControlPlane:
    """
    Give the control plane that the tests share.

    A module that says CONTROL_PLANE has one of its own by that name: what other modules install
    and define there would change what its tests see.
    """
    return planes.turn_to(_plane_of(request.path))


@pytest.fixture
def namespace(controlplane: cluster.ControlPlane) -> Iterator[str]:
    """Give a new namespace, without labels; its objects go after the test."""
    name = controlplane.add_namespace()
    yield name
    controlplane.admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def load_crds(controlplane: cluster.ControlPlane) -> Callable[..., None]:
    """Load definitions by name; skip the test where `../shared/crds` isn't there."""

    def load(*names: str) -> None:
        try:
            crds.load(controlplane, *names)
        except errors.NotAvailableError as error:
            pytest.skip(str(error))

    return load


@pytest.fixture(scope="module")
def webhook_installed(planes: Planes, controlplane: cluster.ControlPlane) -> installation.Installed:
    """Install the webhook as it is shipped, once; tests use `installed`."""
    return planes.installed(controlplane)


@pytest.fixture
def installed(webhook_installed: installation.Installed) -> installation.Installed:
    """Have the webhook installed and running, whatever an earlier test left behind."""
    webhook_installed.restore()
    return webhook_installed


@pytest.fixture
def enabled(installed: installation.Installed) -> Iterator[acting.Place]:
    """Give a namespace where the webhook acts, and a user who works there."""
    with acting.place(installed, installation.ENABLED) as place:
        yield place


@pytest.fixture
def enforced(installed: installation.Installed) -> Iterator[acting.Place]:
    """Give a namespace where guards hold even while the webhook is down, and a user."""
    with acting.place(installed, installation.ENFORCED) as place:
        yield place


@pytest.fixture
def plain(installed: installation.Installed) -> Iterator[acting.Place]:
    """Give a namespace where the webhook doesn't act, and a user."""
    with acting.place(installed, {}) as place:
        yield place
