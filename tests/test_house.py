"""The house: who may import whom, and what each room says of itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "schemas": set(),
    "quality": {"schemas"},
    "transforms": {"schemas", "quality"},
    "kpis": {"schemas"},
    "serving": {"schemas", "kpis"},
    "pipelines": {"schemas", "quality", "transforms", "kpis", "serving"},
}
"""schemas <- quality <- transforms <- pipelines, and schemas <- kpis <- serving <- pipelines."""

NARROWER = {
    "parcours.transforms.sources": ("parcours.schemas", "parcours.transforms.elements"),
    "parcours.pipelines.simulate": ("parcours.schemas",),
}
"""Packages that promise more than their room does."""

FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
PACKAGES = sorted(path.parent for path in FILES if path.name == "__init__.py")


def name_of(path):
    """A file's place in the namespace: parcours.transforms.decode."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("parcours", *(part for part in parts if part != "__init__")))


def imports_of(path):
    """The full names that a file imports, wherever in it, type-checking blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)} imports relatively: write import parcours.X"
            if node.module == "parcours":
                found |= {f"parcours.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
    return found


def within(name, package):
    """Whether a module is a package or lies in it."""
    return f"{name}.".startswith(f"{package}.")


def test_there_is_something_to_hold():
    """Every room is a package with modules."""
    assert set(MAY_IMPORT) == {name_of(path).split(".")[1] for path in FILES}
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path):
    """A file imports its own room and those below it, by their full names."""
    room = name_of(path).split(".")[1]
    allowed = MAY_IMPORT[room] | {room}
    for name in imports_of(path):
        top, *rest = name.split(".")
        assert top not in {*MAY_IMPORT, "tests", "benchmarks"}, (
            f"import {name} by its full name, parcours.{name}"
        )
        if top == "parcours":
            assert rest[0] in allowed, f"{room} may import {sorted(allowed)}, not {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_narrower_promises_are_kept(path):
    """Sources know no step that comes after them; the simulator knows nothing of what reads it."""
    for package, below in NARROWER.items():
        if within(name_of(path), package):
            for name in imports_of(path):
                allowed = not within(name, "parcours") or any(
                    within(name, place) for place in (package, *below)
                )
                assert allowed, f"{package} may import {below}, not {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_command_line_is_on_top(path):
    """Nothing but the command line imports the command line."""
    if not within(name_of(path), "parcours.pipelines.cli"):
        assert not [name for name in imports_of(path) if within(name, "parcours.pipelines.cli")]


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_each_package_says_what_belongs_in_it(folder):
    """Its docstring tells what lives there, what it may import, and what must not be added."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    for heading in (r"^Lives here: \S", r"^May (be imported|import) \S", r"^Must not be added: \S"):
        assert re.search(heading, text, re.MULTILINE), f"{folder.name}/__init__.py says nothing on {heading}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_each_room_is_typed(room):
    """Type checkers use the annotations of what is installed only where py.typed stands."""
    assert (ROOT / room / "py.typed").exists()
