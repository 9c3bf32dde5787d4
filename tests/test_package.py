"""The wheel: what is in it, and that it works from another folder, with nothing of the checkout at hand."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "quality", "transforms", "kpis", "serving", "pipelines")
DATA = ("py.typed", "*.sql", "*.avsc", "*.toml")


def python(*arguments, cwd, **environ):
    """Run this Python, with its dependencies but without the checkout; return what it wrote."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PARCOURS"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=cwd,
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build folder in the checkout would lend it files that are gone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder with the wheel's install in it, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(folder))
    python("-m", "pip", "install", *options, str(wheel), cwd=folder)
    return folder


@pytest.fixture
def installed(site, tmp_path):
    """Runs Python in an empty folder, where ``parcours`` is the wheel's."""

    def run(*arguments):
        return python(*arguments, cwd=tmp_path, PYTHONPATH=str(site))

    return run


def test_it_claims_one_name(wheel):
    """No room of the house becomes a name of its own."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {"parcours"} == {name for name in tops if not name.endswith(".dist-info")}


def test_every_module_and_data_file_is_in_it(wheel):
    """What stands in the rooms is installed: modules, SQL, schemas, templates, type markers; no tests."""
    patterns = ("*.py", *DATA)
    there = {
        path.relative_to(ROOT)
        for room in ROOMS
        for pattern in patterns
        for path in (ROOT / room).rglob(pattern)
    }
    assert all(any(path.match(pattern) for path in there) for pattern in patterns)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("parcours/")}
    assert {f"parcours/{path.as_posix()}" for path in there} == packed


def test_it_runs_from_another_folder(installed, site):
    """The installed program simulates, loads and answers where there is no checkout."""
    where = installed("-c", "import parcours.pipelines.cli as cli; print(cli.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    command = ("-m", "parcours.pipelines.cli")
    assert installed(*command, "--version").startswith("parcours ")
    installed(*command, "init")
    installed(
        *command, "simulate", "--events", "500", "--format", "json", "--out", "touchpoints", "--files", "1"
    )
    installed(*command, "run")
    answer = installed(*command, "query", "SELECT count(*) AS n FROM touchpoints", "--format", "json")
    assert json.loads(answer)[0]["n"] > 400
