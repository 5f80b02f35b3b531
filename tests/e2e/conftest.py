"""
Fixtures of the tests against a real API server.

They start a control plane, so they run only when asked for: `pytest tests/e2e`, or `-m e2e`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
def planes(
    programs: build.Programs, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], cluster.ControlPlane]]:
    """Give control planes by name, each started when first asked for, with fake GPU nodes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    made: dict[str, cluster.ControlPlane] = {}
    with ExitStack() as stack:

        def plane(name: str) -> cluster.ControlPlane:
            if name not in made:
                made[name] = stack.enter_context(cluster.ControlPlane(programs=programs))
                made[name].add_nodes(*nodes.FLEET)
            return made[name]

        yield plane
        for control_plane in made.values() if request.session.testsfailed else ():
            control_plane.keep_logs()
            with capture.global_and_fixture_disabled():
                print(f"\nthe control plane's logs are in {control_plane.logs}")


@pytest.fixture(scope="module")
def controlplane(
    planes: Callable[[str], cluster.ControlPlane], request: pytest.FixtureRequest
) -> cluster.ControlPlane:
    """
    Give the control plane that the tests share.

    A module that says CONTROL_PLANE has one of its own by that name: what other modules install
    and define there would change what its tests see.
    """
    return planes(getattr(request.module, "CONTROL_PLANE", "shared"))


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
def installations(planes: object) -> Iterator[dict[int, installation.Installed]]:
    """Remember where the webhook is installed, and take it out in the end."""
    made: dict[int, installation.Installed] = {}
    yield made
    for each in made.values():
        each.uninstall()


@pytest.fixture(scope="module")
def webhook_installed(
    controlplane: cluster.ControlPlane,
    installations: dict[int, installation.Installed],
) -> installation.Installed:
    """Install the webhook as it is shipped, once; tests use `installed`."""
    if id(controlplane) not in installations:
        made = installation.Installed(controlplane, controlplane.directory)
        made.install()
        made.start()
        installations[id(controlplane)] = made
    return installations[id(controlplane)]


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
