"""The command in this process and as one of its own, with the small model of ../conftest.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("qdrant_edge")

from jina_integrations.cli import main

ROOT = Path(__file__).parents[3]
FAKES = ROOT / "tests" / "core" / "conftest.py"
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
    "HF_HUB_OFFLINE": "1",
}
WITH_WORDS = """
import runpy, sys, time
fakes = runpy.run_path(sys.argv.pop(1))
fakes["operations_module"].make_backend = fakes["WordBackend"]
def wait():
    print("batch", file=sys.stderr, flush=True)
    time.sleep(0.05)
if sys.argv.pop(1) == "slow":
    fakes["WordBackend"].before_call = wait
from jina_integrations.cli import main
main()
"""
"""The command with `WordBackend`; ``slow`` prints a line for each of its calls."""


def hear_signals() -> None:
    """In a child, since whoever runs the tests may ignore them: a background shell, or nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Call = Callable[..., Ended]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return Ended(int(ended.value.code or 0), output.out, output.err)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts a command as a process, which gets signals as from a terminal.

    Whoever starts the tests may ignore SIGINT, as shells do for what runs in the background.
    """

    def run(*arguments: object, speed: str | None = None, **options) -> subprocess.Popen[str]:
        how = ["-m", "jina_integrations.cli"]
        if speed is not None:
            how = ["-c", WITH_WORDS, str(FAKES), speed]
        settings = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
            **options,
            "env": ENVIRONMENT | options.get("env", {}),
        }
        return subprocess.Popen(
            [sys.executable, *how, *map(str, arguments)],
            preexec_fn=hear_signals,
            **settings,
        )

    return run


@pytest.fixture
def process(start) -> Call:
    """Runs a command as a process, to its end."""

    def run(*arguments: object, **options) -> Ended:
        with start(*arguments, **options) as running:
            stdout, stderr = running.communicate(timeout=120)
        return Ended(running.returncode, stdout or "", stderr or "")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents, one file of another type, one hidden."""
    folder = tmp_path / "my texts"
    folder.mkdir()
    (folder / "bäckerei 日本.txt").write_text("The bakery opens at six.", encoding="utf-8")
    (folder / "keeper.md").write_text("# Keeper\n\nHe writes down the weather.", encoding="utf-8")
    (folder / "harbour.txt").write_text("Boats come at dawn.", encoding="utf-8")
    (folder / "x.png").write_bytes(b"\x89PNG\0")
    (folder / ".hidden").write_text("no", encoding="utf-8")
    return folder


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"qdrant-edge:{tmp_path / 'an index'}#handbook"


@pytest.fixture
def filled(words, folder: Path, address: str, call: Call) -> str:
    ended = call("ingest", folder, "--into", address)
    assert ended.code == 0, ended.stderr
    return address
