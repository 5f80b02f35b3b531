"""What is said when the server can't start: one sentence, and the right exit code."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.webhook import serving


def start(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-m", "webhook", "--metrics-listen=127.0.0.1:0", *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**serving.environment(), **environment},
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        pytest.param(
            [],
            "error: the API server calls webhooks over TLS only, and there is no certificate\n"
            "give --cert FILE --key FILE, or --self-signed DIR to have one made\n",
            id="no-certificate",
        ),
        pytest.param(
            ["--cert=a"],
            "error: --cert and --key belong together; --key is missing\n",
            id="no-key",
        ),
        pytest.param(
            ["--cert=a", "--key=b", "--self-signed=c"],
            "error: --self-signed and --cert can't be used together\n",
            id="two-certificates",
        ),
        pytest.param(
            ["--self-signed=c", "--listen=9443"],
            'error: --listen: "9443" is not HOST:PORT, such as 127.0.0.1:9443\n',
            id="no-port",
        ),
        pytest.param(
            ["--self-signed=c", "--listen=::1:9443"],
            'error: --listen: put an IPv6 address in brackets, not "::1:9443"\n',
            id="ipv6-without-brackets",
        ),
        pytest.param(
            ["--self-signed=c", "--offline", "--in-cluster"],
            "error: --offline and --in-cluster can't be used together\n",
            id="two-sources",
        ),
        pytest.param(
            ["--self-signed=c", "--zzz"],
            "error: No such option '--zzz'.\nsee python -m webhook --help\n",
            id="unknown-flag",
        ),
    ],
)
def test_usage_errors(flags: list[str], said: str) -> None:
    ended = start(*flags)

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = start(f"--self-signed={tmp_path}", f"--listen={address}", f"--workers={workers}")

    assert ended.returncode == 1
    assert ended.stderr == f"error: can't listen on {address}: Address already in use\n"


def test_every_fault_of_every_policy_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("kind: Accelerator\n")
    (tmp_path / "two.yaml").write_text("a: [\n")

    ended = start(f"--self-signed={tmp_path}", "--listen=127.0.0.1:0", f"--policies={tmp_path}")

    assert ended.returncode == 1
    assert "one.yaml" in ended.stderr
    assert "two.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_flags_come_from_the_environment_too(tmp_path: Path) -> None:
    ended = start(KUBECTL_ML_SELF_SIGNED=str(tmp_path), KUBECTL_ML_LISTEN="nowhere")

    assert ended.stderr == ('error: --listen: "nowhere" is not HOST:PORT, such as 127.0.0.1:9443\n')


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("kubeconfig", "said"),
    [
        pytest.param(None, "there is no such file", id="no-file"),
        pytest.param(
            "a: [",
            "it can't be used: while parsing a flow node expected the node content, but found "
            "'<stream end>'   in \"{path}\", line 1, column 5",
            id="no-yaml",
        ),
        pytest.param(
            "kind: Config",
            "it can't be used: Invalid kube-config file. Expected key current-context in {path}",
            id="no-context",
        ),
    ],
)
def test_a_kubeconfig_that_is_none(
    tmp_path: Path, kubeconfig: str | None, said: str, workers: str
) -> None:
    path = tmp_path / "config"
    if kubeconfig:
        path.write_text(kubeconfig)

    ended = start(
        f"--self-signed={tmp_path}",
        "--listen=127.0.0.1:0",
        f"--kubeconfig={path}",
        f"--workers={workers}",
    )

    assert ended.stderr.splitlines()[-1] == (
        f"error: --kubeconfig {path}: {said.format(path=path)}"
    )
    assert ended.returncode == 2


def test_in_no_cluster(tmp_path: Path) -> None:
    ended = start(f"--self-signed={tmp_path}", "--listen=127.0.0.1:0", "--in-cluster")

    assert ended.stderr.splitlines()[-2:] == [
        "error: --in-cluster: this is no pod with a service account: Service host/port is not set.",
        "outside of a cluster give --kubeconfig FILE, or --offline",
    ]
    assert ended.returncode == 2
