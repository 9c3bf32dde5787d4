"""The command ``parcours`` itself: quick help, suggestions, exit codes, errors in a few lines."""

import importlib
import subprocess
import sys

import click
import pytest

from parcours.pipelines.cli.exits import ERRORS, EXIT_CODES, describe, run_guarded
from parcours.pipelines.cli.root import COMMANDS, root
from parcours.pipelines.mistakes import ConfigError, Mistake

HEAVY = (
    *("apache_beam", "duckdb", "great_expectations", "kafka", "numpy", "openlineage", "polars"),
    *("prometheus_client", "pyarrow", "pydantic", "rich"),
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["stauts"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_loads_nothing_heavy(arguments):
    """Answering a question about the command line loads neither Beam nor DuckDB nor their like."""
    script = f"""
import sys
from parcours.pipelines.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print(sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_examples(parcours, name):
    """Each command says in a short line what it does, and shows how it is typed."""
    ran = parcours(name, "--help")
    assert ran.code == 0
    command = root.get_command(click.Context(root), name)
    if isinstance(command, click.Group):
        ran = parcours(name, command.list_commands(click.Context(command))[0], "--help")
    assert f"parcours {name}" in ran.out.split("Examples:")[1]
    assert not command.get_short_help_str(limit=70).endswith("...")


def test_help_lists_commands_in_the_order_of_their_use(parcours):
    """Those of a group too, and not by the alphabet."""
    listed = parcours("quarantine", "--help").out.split("Commands:")[1]
    assert ["summary", "list", "show", "fix", "replay", "revalidate", "discard"] == [
        line.split()[0] for line in listed.strip().splitlines()
    ]


def test_help_documents_every_exit_code(parcours):
    """The exit codes stand in ``parcours --help``."""
    section = parcours("--help").out.split("Exit codes:")[1]
    assert [int(line.split()[0]) for line in section.strip().splitlines()] == list(EXIT_CODES)
    assert set(ERRORS.values()) <= set(EXIT_CODES)


def test_it_runs_as_a_module(process):
    """``python -m parcours.pipelines.cli`` is the same program."""
    assert process("--version").out.startswith("parcours ")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["stauts"], 'did you mean "status"'),
        (["config", "chek"], 'did you mean "check"'),
        (["run", "--folow"], "'--follow'"),
        (["zzz"], "init, simulate"),
    ],
)
def test_misspelled_commands_and_options(parcours, arguments, suggestion):
    """A wrong word is a usage error that names the near one."""
    ran = parcours(*arguments)
    assert ran.code == 2
    assert suggestion in ran.err


@pytest.mark.parametrize("name", ERRORS)
def test_the_errors_that_are_known_by_name_exist(name):
    """Every error in the table is a class of that module: renaming one breaks here, not in production."""
    module, _, kind = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), Exception)


def raising(error):
    """Return a command that fails with this error."""

    @click.command(params=[click.Option(["--debug"], is_flag=True)])
    @click.pass_obj
    def command(session, debug):
        session.debug = debug
        session.secrets.add(["hunter2"])
        raise error

    return command


def test_unexpected_errors_are_one_line_without_debug(capsys):
    """An error nobody foresaw is one line, says how to see more, and holds no secret."""
    assert run_guarded(raising(ZeroDivisionError("by hunter2\nand more")), []) == 1
    assert capsys.readouterr().err == "error: ZeroDivisionError: by **** (--debug shows where)\n"


def test_debug_shows_the_traceback_without_secrets(capsys):
    """``--debug`` adds the traceback, masked."""
    assert run_guarded(raising(ZeroDivisionError("by hunter2")), ["--debug"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "hunter2" not in shown


def test_an_interrupt_is_130(capsys):
    """Ctrl-C anywhere ends with 130 and no traceback."""
    assert run_guarded(raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_subclasses_count_as_their_error():
    """An error more special than a known one has its code."""

    class SpecialError(ConfigError):
        pass

    assert describe(SpecialError([Mistake("f", "k", "wrong")]))[0] == 3
