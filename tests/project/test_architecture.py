"""The shape of the code: import directions, sizes, what a package says of itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("policies", "webhook", "kubectl_ml", "demo")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_one_way() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(  # noqa: S603 -- a tool of our own environment
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_stay_small() -> None:
    long = [named(path) for path in MODULES if lines(path) > MAX_MODULE_LINES]

    assert long == []


def test_functions_stay_small() -> None:
    long = [
        f"{named(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]

    assert long == []


@pytest.mark.parametrize(
    "package", sorted(path for path in MODULES if path.name == "__init__.py"), ids=named
)
def test_package_says_what_belongs_in_it(package: Path) -> None:
    assert ast.get_docstring(ast.parse(package.read_text()))


def test_no_module_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "manager", "base", "misc"}

    assert [named(path) for path in MODULES if path.stem in nothing] == []


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())
