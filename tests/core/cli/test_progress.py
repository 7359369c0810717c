"""Progress: a bar on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import os
import pty
import threading
import time
from pathlib import Path

import pytest

from jina_integrations.cli.progress import _Inputs, ingest_progress
from jina_integrations.ingestion.report import IngestProgress


def progress(**changed) -> IngestProgress:
    values = {
        "activity": "embedding",
        "document_id": "docs/guide.md",
        "embedded": 10,
        "unchanged": 0,
        "failed": 0,
        "skipped": 0,
        "chunks": 40,
        "tokens": 4000,
        "seconds": 30.0,
    }
    return IngestProgress(**{**values, **changed})


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def counted(paths: list[str]) -> _Inputs:
    inputs = _Inputs(paths)
    wait_for(lambda: inputs.total is not None)
    return inputs


def test_without_a_terminal_a_line_is_said_now_and_then(folder: Path, capsys) -> None:
    with ingest_progress([str(folder)], line_every_s=30.0) as tell:
        wait_for(lambda: "jina-count" not in {thread.name for thread in threading.enumerate()})
        tell(progress(seconds=1.0, tokens=100, embedded=0))
        tell(progress(seconds=29.9, embedded=1))
        assert capsys.readouterr().err == ""
        tell(progress(seconds=31.0, tokens=3100, embedded=2))
        (first,) = capsys.readouterr().err.splitlines()
        tell(progress(seconds=40.0, embedded=2))
        assert capsys.readouterr().err == ""
        tell(progress(seconds=61.0, tokens=6100, embedded=3, activity="writing"))
        (second,) = capsys.readouterr().err.splitlines()

    assert first.startswith("embedding docs/guide.md: 2 of 5 documents, 40 chunks, 3,100 tokens, ")
    assert "100/s" in first
    # 3 documents are left; the last one took 30 s
    assert second.startswith("writing docs/guide.md: 3 of 5 documents")
    assert second.endswith(", 0:01:00 left")


def test_the_loading_of_a_model_is_named_and_slows_no_rate(folder: Path, capsys) -> None:
    with ingest_progress([str(folder)], line_every_s=0.0) as tell:
        tell(progress(activity="loading the model", tokens=0, seconds=100.0))
        tell(progress(tokens=1000, seconds=101.0))
        tell(progress(tokens=3000, seconds=103.0))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("loading the model: ")
    assert "3,000 tokens, 1,000/s" in lines[2]


def test_inputs_are_counted_as_they_are_read(folder: Path, tmp_path: Path) -> None:
    assert counted([str(folder)]).counted(2) == "2 of 5 documents"
    (folder / "rows.csv").write_text('id,text\n1,"two\nlines"\n2,x\n', encoding="utf-8")
    (folder / "rows.jsonl").write_text('{"text": "a"}\n\n{"text": "b"}\n', encoding="utf-8")
    inputs = counted([str(folder), str(folder / "harbour.txt")])

    assert inputs.counted(2) == "2 of about 10 documents"
    assert inputs.counted(11) == "11 of about 11 documents"


def test_counting_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "many.jsonl").write_text('{"text": "a"}\n' * 200_000, encoding="utf-8")
    inputs = _Inputs([str(tmp_path)])
    inputs.stop()

    assert inputs.counted(3) in ("3 documents", "3 of about 200,000 documents")


def test_a_bar_moves_with_every_forward_pass(folder: Path, address: str, start) -> None:
    for number in range(300):
        (folder / f"{number:03}.txt").write_text(f"Note number {number}.", encoding="utf-8")
    shown = on_terminal(start, "ingest", folder, "--into", address, "--batch-tokens", "4")

    screens = [line for screen in shown for line in screen]
    counts = {
        line.split(" of 305 documents")[0].split()[-1] for line in screens if " of 305 " in line
    }
    assert len(counts) > 1
    assert any("/s" in line for line in screens)
    assert any("ing my texts/" in line for line in screens)  # reading, embedding, writing
    final = [line for line in shown[-1] if line]
    assert any(line.startswith("303 documents embedded") for line in final)
    assert not any(" of 305 " in line for line in final)  # the bar is gone
    assert all(len(line) <= 100 for line in screens)


def on_terminal(start, *arguments: object) -> list[list[str]]:
    """The screens that a terminal of 100 columns shows, one after the other."""
    leader, follower = pty.openpty()
    pyte = pytest.importorskip("pyte")
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)
    running = start(
        *arguments,
        speed="slow",
        stdout=follower,
        stderr=follower,
        env={"TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(follower)
    shown: list[list[str]] = []
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # how Linux ends a terminal
            break
        if not part:
            break
        stream.feed(part)
        shown.append([line.rstrip() for line in screen.display])
    os.close(leader)
    assert running.wait() == 0
    return shown
