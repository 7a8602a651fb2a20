"""The layout keeps its promises: packages are ours, subjects and SQL have their places, modules say why they are."""

import ast
import re
from pathlib import Path

import pytest

import agent
import deploy
import services
import shared

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared", "agent", "deploy")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_our_packages_are_those_of_this_folder() -> None:
    for package in (services, shared, agent, deploy):
        assert Path(str(package.__file__)).is_relative_to(ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_why_it_exists(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{path} has no docstring"


def test_subjects_are_written_in_the_registry_only() -> None:
    literal = re.compile(
        r"""["'](cmd\.sms|report\.|event\.|rpc\.(auth|dispatcher|webhooks)\.|phone\.wake|live\.|auth\.changed)"""
    )
    others = [path for path in SOURCES if path.name != "registry.py" and literal.search(_without_tags(path))]
    assert others == []


def _without_tags(path: Path) -> str:
    """A contract's tag carries its version and may look like a subject; it is none."""
    return re.sub(r"""tag="[^"]*\"""", "", path.read_text())


def test_sql_stands_in_stores_only() -> None:
    statement = re.compile(
        r"""["'\s](select\s.+\sfrom|insert into|update\s+\w+\s.*\bset|delete from)\s""", re.IGNORECASE
    )
    allowed = re.compile(r"store\.py$|/store/|shared/db/|agent/journal\.py$|deploy/local/(postgres|doctor)\.py$")
    guilty = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not allowed.search(str(path)) and any(statement.search(literal) for literal in _strings(path))
    ]
    assert guilty == []


def _strings(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docstrings
    ]


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
