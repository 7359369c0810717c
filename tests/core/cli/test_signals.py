"""Ctrl-C, SIGTERM and SIGHUP end a run alike, and the next run does the rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jina_integrations.cli.outcome import reported

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

STOPPED = "stopped; finished documents are stored, and the same command does the rest"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_stopped_run_says_so_and_the_next_completes_it(
    words, call, start, folder: Path, address: str, number: int, code: int
) -> None:
    for note in range(300):
        (folder / f"{note:04}.txt").write_text(f"Note number {note}.", encoding="utf-8")
    # So that a batch has some 30 documents; when the sixth begins, the first is stored.
    small = ("--batch-tokens", "4")
    with start("ingest", folder, "--into", address, *small, speed="slow") as running:
        for _ in range(6):
            assert running.stderr.readline() == "batch\n"
        running.send_signal(number)
        stdout, stderr = running.communicate(timeout=60)

    assert (running.returncode, stdout) == (code, "")
    assert [line for line in stderr.splitlines() if line != "batch"] == [STOPPED]
    completed = call("ingest", folder, "--into", address)
    assert completed.code == 0
    unchanged = int(completed.stdout.split(", ")[2].split()[0])
    assert 0 < unchanged < 303
    assert completed.stdout.startswith(f"{303 - unchanged} documents embedded")
    row = json.loads(call("info", address, "--json").stdout)
    assert (row["documents"], row["chunks"]) == (303, 303)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with reported():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_somebody_handles_is_left_alone() -> None:
    code = (
        "import signal\nfrom jina_integrations.cli.outcome import reported\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"  # as nohup does
        "with reported():\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    print('goes on')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (0, "goes on\n")
