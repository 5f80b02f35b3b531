"""What `-f` and `-k` take, and what is said where nothing is there."""

from __future__ import annotations

import http.server
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubectl_ml.program import invoke


def manifest(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with manifests, one of them deeper, and a file that is none."""
    (tmp_path / "below").mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "below/d.yaml"):
        (tmp_path / name).write_text(manifest(Path(name).stem))
    (tmp_path / "README.md").write_text("no: [manifest")
    return tmp_path


def names(text: str) -> list[str]:
    return [line.split("name: ")[1][:-1] for line in text.splitlines() if "name: " in line]


def test_a_directory_gives_its_manifests_in_order(tree: Path) -> None:
    assert names(invoke("render", "-f", tree).out) == ["a", "b", "c"]


def test_a_directory_gives_those_below_where_asked(tree: Path) -> None:
    assert names(invoke("render", "-R", "-f", tree).out) == ["a", "b", "d", "c"]


def test_several_files_come_in_the_order_given(tree: Path) -> None:
    files = ("-f", tree / "c.json", "-f", f"{tree}/b.yaml,{tree}/a.yml", "-f", "-")

    outcome = invoke("render", *files, stdin=manifest("stdin"))

    assert names(outcome.out) == ["c", "b", "a", "stdin"]


def test_a_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    outcome = invoke("render", "-f", tmp_path / "nope.yaml")

    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        f"error: {tmp_path}/nope.yaml: no such file or directory\n"
        "hint: -f takes a file, a directory, a URL, or - for standard input\n",
    )


def test_a_directory_without_manifests_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()

    outcome = invoke("render", "-f", tmp_path)

    assert (outcome.code, outcome.err) == (
        1,
        f"error: {tmp_path}: no manifests in this directory: "
        "no file ends with .yaml, .yml, .json\n"
        "hint: -k builds a kustomization, -R looks into the directories below\n",
    )


def test_a_directory_that_links_to_itself_ends(tree: Path) -> None:
    (tree / "loop").symlink_to(tree)

    assert names(invoke("render", "-R", "-f", tree).out) == ["a", "b", "d", "c"]


# --- URLs ------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/pod.yaml":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(manifest("web").encode())
        elif self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with io.BytesIO(b"#" * 1024 * 1024) as piece:
                for _ in range(40):
                    try:
                        self.wfile.write(piece.getvalue())
                    except OSError:
                        return
        else:
            self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_a_url_is_fetched(server: str) -> None:
    outcome = invoke("render", "-f", f"{server}/pod.yaml", env={"no_proxy": "*"})

    assert (outcome.err, outcome.out) == ("", manifest("web"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("/nope", "the server answered 404 Not Found", id="missing"),
        pytest.param("/endless", "it is larger than 32 MiB", id="endless"),
    ],
)
def test_a_url_that_gives_nothing_usable_is_one_sentence(server: str, path: str, why: str) -> None:
    outcome = invoke("render", "-f", server + path, env={"no_proxy": "*"})

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[0] == f"error: {server}{path}: {why}"


def test_a_url_does_not_lead_to_files_of_ours(server: str) -> None:
    outcome = invoke("render", "-f", f"{server}/file", env={"no_proxy": "*"})

    assert (outcome.code, outcome.out) == (1, "")


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    outcome = invoke("render", "-f", "http://127.0.0.1:1/pod.yaml", env={"no_proxy": "*"})

    assert (outcome.code, len(outcome.err.splitlines())) == (1, 2)
    assert "refused" in outcome.err


# --- kustomizations --------------------------------------------------------------------------

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on the PATH")


@needs_kubectl
def test_a_kustomization_is_built(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]\nnamePrefix: pre-\n")
    (tmp_path / "a.yaml").write_text(manifest("a"))

    outcome = invoke("render", "-k", tmp_path)

    assert (outcome.err, outcome.code) == ("", 0)
    assert "name: pre-a\n" in outcome.out


@needs_kubectl
def test_a_kustomization_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    outcome = invoke("render", "-k", tmp_path)

    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 2)
    assert outcome.err.startswith(f"error: {tmp_path}: ")


def test_a_kustomization_without_kubectl_is_one_sentence(tmp_path: Path) -> None:
    outcome = invoke("render", "-k", tmp_path, env={"PATH": ""})

    assert (outcome.code, outcome.err.splitlines()[0]) == (
        1,
        "error: -k needs kubectl, which is not on the PATH",
    )
