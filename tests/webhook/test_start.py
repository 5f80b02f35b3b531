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


def test_says_that_the_cluster_is_not_read_yet(tmp_path: Path) -> None:
    with serving.webhook(tmp_path, "--in-cluster") as served:
        warnings = [line for line in served.lines() if line["level"] == "warning"]

    assert [line["asked"] for line in warnings] == ["--in-cluster"]
    assert warnings[0]["event"].startswith("facts and policies are not read from the cluster yet")
