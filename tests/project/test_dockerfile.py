"""
The image, as far as reading its recipe tells.

No container engine is needed here, so nothing is built: what the recipe copies must exist, and
what it runs must be what the docs promise.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        (line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line
    ]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for keyword, rest in instructions():
        if keyword == "FROM":
            found.append([])
        found[-1].append((keyword, rest))
    return found


def last(keyword: str) -> str:
    return [rest for word, rest in stages()[-1] if word == keyword][-1]


def test_has_two_stages_on_the_same_slim_python() -> None:
    bases = [rest.split()[0] for keyword, rest in instructions() if keyword == "FROM"]

    assert len(bases) == 2
    assert set(bases) == {"python:3.13-slim"}


def test_runs_the_webhook_as_a_numeric_user() -> None:
    assert last("USER") == "65532:65532"
    assert json.loads(last("ENTRYPOINT")) == ["python", "-m", "webhook"]
    assert last("EXPOSE") == "9443 9090"


def test_writes_nothing_at_run_time() -> None:
    environment = last("ENV")

    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert any("compileall" in rest for _, rest in stages()[0])
    assert [word for word, _ in stages()[-1] if word in ("RUN", "VOLUME", "ADD")] == []


def test_installs_nothing_without_a_hash() -> None:
    installs = re.findall(
        r"pip (?:--python \S+ )?install [^&]*", " ".join(rest for _, rest in stages()[0])
    )

    assert len(installs) == 3
    assert [
        one for one in installs if "--require-hashes" not in one and "--no-index" not in one
    ] == []
    assert "PIP_NO_CACHE_DIR=1" in dict(stages()[0])["ENV"]


def test_copies_only_what_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source for keyword, rest in stages()[0] if keyword == "COPY" for source in rest.split()[:-1]
    ]

    assert ignore[0] == "*"
    assert [one for one in copied if not (ROOT / one).exists()] == []
    assert [one for one in copied if f"!{one}" not in ignore] == []


def test_carries_the_labels_that_registries_read() -> None:
    labels = last("LABEL")

    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in labels
