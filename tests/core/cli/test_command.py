"""The command as a whole: help, exit codes, messages, and what loading it costs."""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from jina_integrations import MODEL_CARDS, __version__
from jina_integrations.cli import app as app_module
from jina_integrations.cli.outcome import counted, one_line

COMMANDS = app_module._COMMANDS
LONG = "x" * 300


def test_help_names_every_command(call) -> None:
    shown = call("--help")

    assert shown.code == 0
    for name, command in COMMANDS.items():
        assert f"{name} " in shown.stdout
        assert command.summary in shown.stdout
    assert call().stdout == call("-h").stdout == shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_begins_with_its_summary(call, name: str) -> None:
    shown = call(name, "--help")
    command = COMMANDS[name]
    module = import_module(f"jina_integrations.cli.{command.module}")
    documented = inspect.getdoc(getattr(module, command.function))

    assert (shown.code, shown.stderr) == (0, "")
    assert documented is not None
    assert documented.splitlines()[0] == command.summary
    assert command.summary in shown.stdout


def test_version(call) -> None:
    assert call("--version").stdout == f"{__version__}\n"


def test_models_lists_every_card(call) -> None:
    rows = json.loads(call("models", "--json").stdout)
    lines = call("models").stdout.splitlines()

    assert [row["id"] for row in rows] == list(MODEL_CARDS)
    assert [line.split()[0] for line in lines[1:]] == list(MODEL_CARDS)
    minilm, v3 = rows[0], next(row for row in rows if row["id"] == "jina-embeddings-v3")
    assert (minilm["dimensions"], minilm["late_chunking"]) == (384, "off")
    assert (v3["min_dimensions"], v3["late_chunking"], v3["commercial"]) == (32, "on", False)
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("serach x", "Did you mean 'search'?"),
        ("--nonsense", "--nonsense"),
        ("ingest FOLDER", "--into"),
        ("ingest --into ADDRESS", "PATH"),
        ("ingest FOLDER/none --into ADDRESS", "no such file or folder"),
        ("ingest {} --into ADDRESS", "no such file or folder"),
        (f"ingest {LONG} --into ADDRESS", "characters are too many"),
        ("ingest ~nouser/x --into ADDRESS", "no such file or folder"),
        ("ingest FOLDER --into nowhere", "'nowhere'"),
        ("ingest FOLDER --into zilch:./x#y", "no store is called 'zilch'"),
        ("ingest FOLDER --into qdrant-edge:~nouser/x#y", "is no folder"),
        (f"ingest FOLDER --into qdrant-edge:{LONG}#y", "is no folder"),
        (f"ingest FOLDER --into chroma:{LONG}#y", "is no folder"),
        ("ingest FOLDER --into qdrant-edge:./x", "PATH#COLLECTION"),
        ("ingest FOLDER --into qdrant-edge:./x#a/b", "has a slash"),
        ("ingest FOLDER --into ADDRESS --root a/b", "root='a/b'"),
        ("ingest FOLDER --into ADDRESS --chunker words:1", "words:1"),
        (f"ingest FOLDER --into ADDRESS --chunker token:{'9' * 5000}", "names no chunker"),
        ("ingest FOLDER --into ADDRESS --chunker token:0", "max_tokens=0"),
        ("ingest FOLDER --into ADDRESS --chunker token:5:5", "overlap_tokens=5"),
        ("ingest FOLDER --into ADDRESS --embedder {}", "model"),
        ("ingest FOLDER --into ADDRESS --context-weight 2", "context_weight"),
        ("ingest FOLDER --into ADDRESS --context-weight nan", "context_weight"),
        ("ingest FOLDER --into ADDRESS --context-weight much", "--context-weight"),
        ("ingest FOLDER --into ADDRESS --dimensions 5", "8 to 32"),
        ("ingest FOLDER --into ADDRESS --precision int3", "precision"),
        ("ingest FOLDER --into ADDRESS --backend cloud", "backend"),
        ("ingest FOLDER --into ADDRESS --batch-tokens 0", "batch_tokens"),
        ("ingest FOLDER --into ADDRESS --window-tokens 7", "window_tokens"),
        ("ingest FOLDER --into ADDRESS --overlap-tokens -1", "overlap_tokens"),
        ("ingest FOLDER --into ADDRESS --tokens-per-minute 0", "tokens_per_minute"),
        ("ingest FOLDER --into ADDRESS --total-timeout 0", "total_timeout_s"),
        ("ingest FOLDER --into ADDRESS --base-url http://127.0.0.1:99999/v1", "base_url"),
        ("ingest FOLDER --into ADDRESS --base-url nowhere", "base_url"),
        ("ingest FOLDER --into ADDRESS --backend local --tokens-per-minute 5", "backend='local'"),
        ("ingest FOLDER --into ADDRESS --workers -1", "workers"),
        ("ingest FOLDER --into ADDRESS --max-failures -1", "max_failures"),
        ("ingest FOLDER --into ADDRESS --watch --dry-run", "--watch and --dry-run"),
        ("ingest FOLDER/none --into ADDRESS --watch", "no such file or folder"),
        ("ingest FOLDER --into ADDRESS --report FOLDER/no/r.json", "cannot be written"),
        ("ingest FOLDER --into ADDRESS --report FOLDER", "cannot be written"),
        ("ingest FOLDER --into ADDRESS --report ~nouser/r.json", "cannot be written"),
        (f"ingest FOLDER --into ADDRESS --report {LONG}", "cannot be written"),
        ("ingest FOLDER --into ADDRESS --report a\0b", "cannot be written"),
        ("ingest FOLDER --into ADDRESS --report a\udcffb --root a\udcffb", "root="),
        ("ingest a\0b --into ADDRESS", "is no path"),
        ("ingest FOLDER --into qdrant-edge:a\0b#c", "is no folder"),
        ("ingest FOLDER --into ADDRESS --workers 1000", "at most 256"),
        ("ingest FOLDER --into ADDRESS --workers 1.5", "--workers"),
        (f"search x --from ADDRESS -k {'9' * 5000}", "-k"),
        ("search x", "--from"),
        ("search x --from ADDRESS", "ingest into it first"),
        ("search x --from ADDRESS -k 0", "-k"),
        ("search x --from ADDRESS -k many", "-k"),
        ("search x --from ADDRESS --filter =a", "KEY=VALUE"),
        ("chunks FOLDER --chunker words:1", "words:1"),
        ("chunks FOLDER/none", "no such file or folder"),
        ("info ADDRESS", "does not exist"),
        ("info nowhere", "'nowhere'"),
        ("documents ADDRESS", "does not exist"),
        ("documents ADDRESS --filter {}", "KEY=VALUE"),
        ("delete ADDRESS", "ID"),
        ("delete ADDRESS x", "does not exist"),
        ("verify ADDRESS", "does not exist"),
        ("drop ADDRESS", "does not exist"),
        ("drop ADDRESS --yes", "does not exist"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words, call, folder: Path, address: str, typed: str, said: str
) -> None:
    meant = {"FOLDER": str(folder), "ADDRESS": address, "{}": ""}
    arguments = [
        meant.get(word, word.replace("FOLDER/", f"{folder}/")) for word in typed.split(" ")
    ]

    ended = call(*arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr
    assert not Path(address.removeprefix("qdrant-edge:").partition("#")[0]).exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb\t c", "a b c"), ("\x1b[31mred\x1b[0m", "[31mred [0m"), ("日本 \x9b1m", "日本 1m")],
)
def test_nothing_stored_steers_the_terminal(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_counts() -> None:
    assert counted(1, "chunk") == "1 chunk"
    assert counted(1200, "chunk") == "1,200 chunks"
    assert counted(2, "QUESTION") == "2 QUESTIONS"


def test_warnings_are_one_line_each(call, monkeypatch) -> None:
    def command() -> None:
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
        logging.getLogger("jina_integrations.x").warning("%d chunks are\ntoo many", 3)
        logging.getLogger("jina_integrations.x").info("not this")

    shown_before = warnings.showwarning
    monkeypatch.setattr("jina_integrations.cli.models.models_command", command)

    ended = call("models")

    assert ended.stderr == "warning: two lines\nwarning: 3 chunks are too many\n"
    assert warnings.showwarning is shown_before


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_missing_library_is_named_with_its_extra(library: str) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from jina_integrations.cli import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", script, "models"], capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "jina-integrations[cli]" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_closed_pipe_is_no_failure(process) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = process("models", stdout=write)
    finally:
        os.close(write)

    assert (ended.code, ended.stderr) == (0, "")


def test_terminal_without_unicode(filled: str, process) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    arguments = ("search", "the bakery", "--from", filled, "-k", "1")

    people = process(*arguments, speed="fast", env=ascii_only)
    programs = process(*arguments, "--json", speed="fast", env=ascii_only)

    assert r"b\xe4ckerei \u65e5\u672c.txt" in people.stdout
    assert json.loads(programs.stdout)[0]["document_id"] == "my texts/bäckerei 日本.txt"
