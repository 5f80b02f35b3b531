"""kubectl's manners, through the real program: streams, exit codes, hints, what is imported."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubectl_ml.cli import VERBS
from tests.kubectl_ml.program import BIN, invoke, run

POD = b"""\
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {kubectl-ml.io/accelerator: a100}}
spec: {containers: [{name: main, image: x}]}
"""
# Each costs a cold start more than the work itself, and one pod needs none of them.
HEAVY = {
    "aiohttp",
    "asyncio",
    "cryptography",
    "email",
    "http.client",
    "importlib.metadata",
    "jsonschema",
    "kubernetes",
    "prometheus_client",
    "socket",
    "ssl",
    "structlog",
    "subprocess",
    "tabulate",
    "urllib.request",
    "webhook",
}


def test_without_arguments_it_helps() -> None:
    done = run()

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Usage: kubectl ml COMMAND [flags]\n")


@pytest.mark.parametrize("command", VERBS)
def test_each_command_has_help_with_examples(command: str) -> None:
    short, long = invoke(command, "-h"), invoke(command, "--help")

    assert (short.code, short.err, short.out) == (0, "", long.out)
    assert short.out.startswith(f"Usage: kubectl ml {command} ")
    assert f"    kubectl ml {command}" in short.out


USAGE = [
    pytest.param(["rendr"], 'unknown command "rendr"; did you mean "render"?', "", id="command"),
    pytest.param(
        ["render", "--polices", "x"],
        'unknown flag: --polices; did you mean "--policies"?',
        " render",
        id="flag",
    ),
    pytest.param(
        ["render"], "give one of -f and -k: what is to be rendered?", " render", id="no-input"
    ),
    pytest.param(
        ["render", "-f", "a", "-k", "b"],
        "give one of -f and -k: what is to be rendered?",
        " render",
        id="two-inputs",
    ),
    pytest.param(
        ["render", "-f", "-", "-f", "-"],
        "standard input (-f -) can be read only once",
        " render",
        id="stdin-twice",
    ),
    pytest.param(
        ["render", "-f", "-", "-o", "xml"],
        "invalid value for '-o' / '--output': 'xml' is not one of 'yaml', 'json', 'diff', 'patch'",
        " render",
        id="choice",
    ),
    pytest.param(
        ["render", "-f", "-", "--kube-version", "new"],
        "invalid value for '--kube-version': \"new\" is no version; write it as 1.36",
        " render",
        id="version",
    ),
]


@pytest.mark.parametrize(("args", "sentence", "command"), USAGE)
def test_wrong_usage_ends_with_2(args: list[str], sentence: str, command: str) -> None:
    outcome = invoke(*args)

    assert (outcome.code, outcome.out, outcome.err) == (
        2,
        "",
        f"error: {sentence}\nhint: see 'kubectl ml{command} --help' for usage and examples\n",
    )


@pytest.mark.parametrize("flag", ["-o=json", "-ojson", "--output=json", "--output json"])
def test_flags_are_written_as_kubectl_takes_them(flag: str) -> None:
    outcome = invoke("version", *flag.split())

    assert json.loads(outcome.out)["apiVersion"] == "kubectl-ml.io/v1alpha1"


@pytest.mark.parametrize(
    "flags", [["-v=6"], ["-v6"], ["-v", "6"], ["--v=7"], ["--v", "8"]], ids=" ".join
)
def test_a_traceback_is_shown_only_where_asked(flags: list[str]) -> None:
    quiet, verbose = invoke("render", "-f", "nope"), invoke("render", "-f", "nope", *flags)

    assert "Traceback" not in quiet.err
    assert verbose.err.startswith("Traceback")
    assert verbose.err.endswith(quiet.err)


def test_the_real_program_reads_and_writes_streams() -> None:
    done = run("render", "-f", "-", "--stage=template", stdin=POD)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b'nvidia.com/gpu: "1"' in done.stdout


def test_the_real_program_refuses_on_stderr_alone() -> None:
    done = run("render", "-f", "-", stdin=POD.replace(b"a100", b"a1000"))

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b'error: standard input: Pod "web": ')


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on the PATH")
def test_kubectl_finds_it() -> None:
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])

    done = subprocess.run(
        ["kubectl", "ml", "render", "-f", "-", "-o", "patch"],  # noqa: S607 -- found on PATH
        input=POD,
        capture_output=True,
        env={"PATH": path},
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["ref"] == "Pod/default/web"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    many = tmp_path / "many.yaml"
    many.write_bytes(b"---\n".join([b"apiVersion: v1\nkind: Secret\n"] * 20_000))

    with subprocess.Popen(  # noqa: S603 -- our own program
        [BIN / "kubectl-ml", "render", "-f", many, "--no-library"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()

    assert (said, process.wait(60)) == (b"", 141)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(  # noqa: S603 -- our own program
            [BIN / "kubectl-ml", "render", "-f", "-"],
            input=POD,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_interrupt_ends_with_130() -> None:
    with subprocess.Popen(  # noqa: S603 -- our own program
        [BIN / "kubectl-ml", "render", "-f", "-", "--no-library"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(POD * 40_000)  # more than a pipe holds: it has begun to read
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert (process.wait(60), said.strip()) == (130, b"")


@pytest.mark.parametrize(
    ("flags", "env", "colored"),
    [
        pytest.param([], {}, True, id="on-a-terminal"),
        pytest.param(["--no-color"], {}, False, id="flag"),
        pytest.param([], {"NO_COLOR": "1"}, False, id="environment"),
        pytest.param([], {"TERM": "dumb"}, False, id="dumb-terminal"),
    ],
)
def test_a_diff_is_colored_on_a_terminal(
    flags: list[str], env: dict[str, str], colored: bool, tmp_path: Path
) -> None:
    (tmp_path / "pod.yaml").write_bytes(POD)
    ours, theirs = pty.openpty()

    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run(  # noqa: S603 -- our own program
            [BIN / "kubectl-ml", "render", "-f", tmp_path / "pod.yaml", "-o", "diff", *flags],
            stdout=theirs,
            env={"TERM": "xterm"} | env,
            timeout=60,
            check=True,
        )
        os.close(theirs)
        shown = terminal.read(4096)

    assert (b"\x1b[32m+" in shown) == colored


def test_one_pod_is_rendered_without_heavy_modules(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_bytes(POD)

    done = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-X", "importtime", BIN / "kubectl-ml", "render", "-f", "pod.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "policies.engine" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("command", ["render", "classes"])
def test_help_does_not_load_the_engine_or_other_commands(command: str) -> None:
    script = (
        "import sys, kubectl_ml.cli\n"
        "print(sorted(m for m in sys.modules if m.startswith(('kubectl_ml.commands', 'yaml',"
        " 'policies.engine'))))"
    )

    done = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "[]\n"
