"""What is logged of a fault."""

from __future__ import annotations

from pathlib import Path

import orjson

from webhook import logs

SECRET = "do-not-log-me"  # noqa: S105 -- looked for, not used


def test_a_traceback_is_logged_without_the_values_of_variables(tmp_path: Path) -> None:
    def fail(subject: dict[str, str]) -> None:
        raise TypeError(f"no such member among {len(subject)}")

    with (tmp_path / "log").open("wb") as file:
        log = logs.make("info", file.fileno())
        try:
            fail({"PASSWORD": SECRET})
        except TypeError:
            log.exception("a review failed", uid="u")

    line = (tmp_path / "log").read_text()
    said = orjson.loads(line)["exception"][0]
    assert (said["exc_type"], said["exc_value"]) == ("TypeError", "no such member among 1")
    assert said["frames"][-1]["name"] == "fail"
    assert SECRET not in line
