"""
Fixtures of the tests against a real API server.

They start a control plane, so they run only when asked for: `pytest tests/e2e`, or `-m e2e`.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import acting
from tests.e2e import installed as installation
from tests.e2e.controlplane import build, cluster, crds, errors, nodes

HERE = Path(__file__).parent


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
    """Mark what is in this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


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
def controlplane(
    programs: build.Programs, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[cluster.ControlPlane]:
    """One control plane with fake GPU nodes for all tests; its logs stay if one of them failed."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with cluster.ControlPlane(programs=programs) as control_plane:
        control_plane.add_nodes(*nodes.FLEET)
        yield control_plane
        if request.session.testsfailed:
            control_plane.keep_logs()
            with capture.global_and_fixture_disabled():
                print(f"\nthe control plane's logs are in {control_plane.logs}")


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


@pytest.fixture(scope="session")
def webhook_installed(controlplane: cluster.ControlPlane) -> Iterator[installation.Installed]:
    """Install the webhook as it is shipped, once; tests use `installed`."""
    made = installation.Installed(controlplane, controlplane.directory)
    made.install()
    made.start()
    try:
        yield made
    finally:
        made.uninstall()


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
