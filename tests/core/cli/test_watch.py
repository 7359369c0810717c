"""``ingest --watch``: what changes is ingested again, until it is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("watchfiles")

from jina_integrations.cli.watching import repeat_on_change
from jina_integrations.errors import ReadError, StoreError


class StopWatchError(Exception):
    """Ends a watch that has seen enough."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a", encoding="utf-8")
    return source


def later(change, *, after_s: float = 0.3) -> None:
    timer = threading.Timer(after_s, change)
    timer.daemon = True
    timer.start()


def test_each_change_is_a_round(source: Path) -> None:
    rounds: list[set[str]] = []

    def ingest() -> bool:
        rounds.append({file.name for file in source.iterdir()})
        if len(rounds) == 1:  # seen although it happens while a round is under way
            (source / "b.txt").write_text("b", encoding="utf-8")
        elif len(rounds) == 2:
            later(lambda: (source / "a.txt").unlink())
        else:
            raise StopWatchError
        return False

    with pytest.raises(StopWatchError):
        repeat_on_change([str(source)], ingest)

    assert rounds == [{"a.txt"}, {"a.txt", "b.txt"}, {"b.txt"}]


def test_what_the_command_writes_itself_is_no_change(source: Path) -> None:
    report, store = source / "report.json", source / "index"
    rounds: list[int] = []

    def ingest() -> bool:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            report.write_text("{}", encoding="utf-8")
            store.mkdir()
            (store / "data.txt").write_text("x", encoding="utf-8")
            later(lambda: (source / "b.txt").write_text("b", encoding="utf-8"), after_s=3.0)
            return False
        assert (source / "b.txt").exists()
        raise StopWatchError

    with pytest.raises(StopWatchError):
        repeat_on_change([str(source)], ingest, ignored=[report, store])


def test_an_error_of_a_later_round_is_told_and_tried_again(source: Path, capsys) -> None:
    rounds: list[int] = []

    def ingest() -> bool:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            later(lambda: (source / "b.txt").write_text("b", encoding="utf-8"))
        elif len(rounds) == 2:
            raise StoreError("the server is away")
        else:
            raise StopWatchError
        return False

    with pytest.raises(StopWatchError):
        repeat_on_change([str(source)], ingest, retry_s=0.1)

    assert "error: the server is away; the watch goes on" in capsys.readouterr().err


def test_an_error_of_the_first_round_ends_the_watch(source: Path) -> None:
    def ingest() -> bool:
        raise StoreError("the server is away")

    with pytest.raises(StoreError):
        repeat_on_change([str(source)], ingest)


def test_a_path_that_vanishes_is_waited_for(source: Path, capsys) -> None:
    away = source.with_name("away")
    rounds: list[int] = []

    def move_and_back() -> None:
        source.rename(away)
        time.sleep(2.5)
        away.rename(source)

    def ingest() -> bool:
        assert source.exists()
        rounds.append(len(rounds))
        if len(rounds) == 1:
            later(move_and_back)
            return False
        raise StopWatchError

    with pytest.raises(StopWatchError):
        repeat_on_change([str(source)], ingest)

    assert f"{source} is gone; waiting until it is back" in capsys.readouterr().err


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        repeat_on_change([str(tmp_path / "none")], lambda: False)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_command_watches_until_ctrl_c(start, process, source: Path, address: str) -> None:
    watching = ("ingest", source, "--into", address, "--watch", "--prune", "--json")
    with start(*watching, speed="fast") as running:
        reports = json_lines(running)
        first = next(reports)
        assert running.stderr.readline().startswith(f"watching {source}")
        # Between two rounds the store is free for others.
        assert process("info", address).code == 0
        (source / "b.txt").write_text("b", encoding="utf-8")
        (source / "a.txt").unlink()
        second = next(reports)
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)

    assert (running.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1].startswith("stopped; ")
    assert (first["documents_embedded"], first["documents_removed"]) == (1, [])
    assert second["documents_embedded"] == 1
    assert second["documents_removed"] == ["source/a.txt"]


def json_lines(running: subprocess.Popen[str]) -> Iterator[dict]:
    assert running.stdout is not None
    for line in running.stdout:
        yield json.loads(line)
