"""The command ``eval``: what it refuses, what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("ir_measures")
pytest.importorskip("bm25s")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from jina_integrations import Embedder, SentenceChunker, TokenChunker
from jina_integrations.cli.app import app
from jina_integrations.cli.evaluate import parse_grid
from jina_integrations.cli.tables import evaluation_text, points
from jina_integrations.errors import InvalidSettingError
from jina_integrations.evaluation import (
    Difference,
    Evaluation,
    Grid,
    evaluate,
    read_questions,
    recommend,
)

ROOT = Path(__file__).parents[3]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

TEXTS = {
    "bakery": "The bakery opens at six. By nine it has sold out of rye bread. Noon ends its day.",
    "harbour": "Boats come in at dawn. Their nets hold herring. The auction starts at seven.",
    "keeper": "A keeper lights the lamp at dusk. He writes down the weather. Fog slows him.",
}
ASKED = [
    ("bakery", "when has it sold out of rye bread", "it has sold out of rye bread"),
    ("harbour", "what do nets hold", "Their nets hold herring."),
    ("keeper", "who lights the lamp at dusk", "A keeper lights the lamp at dusk."),
]
GRID = ("--chunkers", "token:6,token:12", "--context-weights", "0,1", "--neighbour-weights", "none")


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_questions(path: Path, texts: dict[str, str] = TEXTS) -> Path:
    rows: list[dict[str, object]] = [{"document": name, "text": texts[name]} for name in texts]
    for name, question, answer in ASKED:
        start = texts[name].index(answer)
        span = {"start": start, "end": start + len(answer)}
        rows.append({"document": name, "question": question, **span})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_questions(tmp_path / "village.jsonl")


@pytest.fixture
def evaluation(words, questions: Path) -> Evaluation:
    grid = Grid(chunkers=[TokenChunker(6)], context_weights=[0.0, 1.0], neighbour_weights=[])
    return evaluate(read_questions(questions), embedder=Embedder("words"), grid=grid)


# What is printed


def test_table_is_plain_in_a_pipe_and_says_what_was_measured_on(words, questions: Path) -> None:
    result = call("eval", questions, *GRID)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "village: 3 questions on 3 documents"
    assert "\x1b" not in result.stdout
    assert max(map(len, lines)) <= 120
    assert "PSEUDO" not in result.stdout
    assert [line.split()[0] for line in lines if "baseline" in line] == ["isolated", "isolated"]
    assert [line for line in lines if line.startswith("token:")] == [
        "token:6, 9 chunks",
        "token:12, 6 chunks",
    ]
    for measure in ("nDCG@10: ", "R@10: ", "RR@10: ", "IoU@5: ", "precision@5: ", "recall@512t: "):
        assert sum(line.startswith(measure) for line in lines) == 1
    assert "paired bootstrap over questions, against isolated chunks" in result.stdout
    assert "Recommended" not in result.stdout


def test_table_has_the_figures_of_the_json(words, questions: Path) -> None:
    shown = call("eval", questions, *GRID, "--measure", "RR@10").stdout
    row = json.loads(call("eval", questions, *GRID, "--measure", "RR@10", "--json").stdout)

    late = next(own for own in row["results"] if own["name"] == "token:6 late")
    line = next(line for line in shown.splitlines() if line.startswith("late "))
    cells = line.split()
    means = {name: f"{100 * own['mean']:.1f}" for name, own in late["measures"].items()}
    others = ("nDCG@10", "R@10", "IoU@5", "precision@5", "recall@512t")
    assert cells[1:7] == [means["RR@10"], *(means[name] for name in others)]
    own = late["measures"]["RR@10"]
    difference = Difference(own["difference"], own["low"], own["high"], own["share_above"])
    assert points(difference) in line
    assert f"{late['tokens']:,}" in line
    assert "recommendation" not in row
    assert row["questions"]["name"] == "village"


def test_exact_questions_are_found_by_words_in_them(words, tmp_path: Path) -> None:
    """Each question is its answer's own text, so that all words meet: rank 1 everywhere."""
    rows = [{"document": name, "text": text} for name, text in TEXTS.items()]
    rows += [{"document": name, "question": text} for name, text in TEXTS.items()]
    path = tmp_path / "same.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    row = json.loads(
        call("eval", path, "--chunkers", "token:50", "--retrievals", "dense,bm25", "--json").stdout
    )

    by_name = {own["name"]: own["measures"] for own in row["results"]}
    for name in ("token:50 isolated", "token:50 bm25"):
        assert {own["mean"] for own in by_name[name].values()} == {1.0}


@pytest.mark.parametrize(
    ("difference", "shown"),
    [
        (Difference(0.012, 0.003, 0.021, 0.99), "+1.2 [+0.3, +2.1]"),
        (Difference(-0.1, -0.25, 0.0, 0.01), "-10.0 [-25.0, +0.0]"),
    ],
)
def test_differences_are_in_points(difference: Difference, shown: str) -> None:
    assert points(difference) == shown


def test_only_clear_differences_are_marked(evaluation: Evaluation) -> None:
    baseline, late = evaluation.results

    def shown(low: float) -> str:
        own = {evaluation.measure: Difference(0.02, low, 0.03, 0.97)}
        results = (baseline, replace(late, differences={**late.differences, **own}))
        text = evaluation_text(replace(evaluation, results=results), None)
        return next(line for line in text.splitlines() if line.startswith("late"))

    assert "+2.0 [+1.0, +3.0] *" in shown(0.01)
    assert "+2.0 [-1.0, +3.0]  " in shown(-0.01)


def test_pseudo_questions_are_plain_to_see(words, tmp_path: Path) -> None:
    folder = tmp_path / "my\x1b[31m\ntexts"
    folder.mkdir()
    for name, text in TEXTS.items():
        body = f"# How the {name} works\n\n{text} {text.replace('The', 'One')}\n"
        (folder / f"{name}.md").write_text(body, encoding="utf-8")

    result = call("eval", folder, "--chunkers", "token:12", "--questions", "4")

    assert result.exit_code == 0, result.stderr
    first, second, *_ = result.stdout.splitlines()
    assert re.fullmatch(r"my \[31m texts: \d PSEUDO-QUESTIONS on 3 documents", first)
    assert second.startswith("Pseudo-questions are made out of the documents")
    assert "\x1b" not in result.stdout


def test_questions_are_sampled_by_seed(words, questions: Path) -> None:
    def notes(*options: str) -> list[str]:
        return json.loads(call("eval", questions, *GRID, *options, "--json").stdout)["questions"][
            "notes"
        ]

    assert notes("--questions", "1", "--seed", "7")[-1].endswith("drawn at random (seed 7)")
    assert notes("--questions", "99") == notes()


def test_large_grids_fit(words, questions: Path) -> None:
    result = call(
        *("eval", questions, "--chunkers", "token:6,token:12", "--dimensions"),
        *("full,8", "--context-weights", "0,0.25,0.5,1", "--windows", "auto,30/10", "--retrievals"),
        *("dense,bm25,hybrid", "--quantizations", "none,int8,binary,binary-rescored"),
    )

    assert result.exit_code == 0, result.stderr
    count = int(re.search(r"^(\d+) configurations of minilm", result.stdout, re.MULTILINE)[1])  # type: ignore[index]  # or it fails
    assert count > 200
    assert max(map(len, result.stdout.splitlines())) <= 120
    for word in ("8d", "int8", "binary-rescored", "hybrid", "30/10"):
        assert word in result.stdout


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_table_fits_the_terminal(evaluation: Evaluation, monkeypatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", Terminal())

    text = evaluation_text(evaluation, recommend(evaluation))

    lines = [ESCAPE.sub("", line) for line in text.split("Recommended")[0].splitlines()]
    assert max(map(len, lines)) <= max(columns, 60)
    shown = {
        name for name in evaluation.measures if any(li.startswith(f"{name}: ") for li in lines)
    }
    left_out = [li for li in lines if li.startswith("Also measured, for wider terminals")]
    assert evaluation.measure in shown
    assert (shown == set(evaluation.measures)) == (columns == 200) == (not left_out)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_has_progress_and_colours(questions: Path, start) -> None:
    leader, follower = pty.openpty()
    running = start(
        *("eval", questions, *GRID),
        speed="fast",
        env={"TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    received = b""
    while part := read(leader):
        received += part
    os.close(leader)

    assert running.wait() == 0
    progress, table = received.decode().split("village: 3 questions")
    assert "isolated chunks of token:6" in progress
    assert "3 of 3" in progress
    assert ESCAPE.search(table)
    assert "━" not in table


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux ends a terminal
        return b""


# Recommendation and report


def test_recommended_command_is_one_that_ingest_takes(words, questions, tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    options = (*GRID, "--recommend", "--device", "cpu", "--batch-tokens", "99", "--truncate")

    shown = call("eval", questions, *options)
    row = json.loads(call("eval", questions, *options, "--json").stdout)["recommendation"]

    assert f"Recommended: {row['name']}" in shown.stdout
    assert f"  {row['command']}" in shown.stdout.splitlines()
    for reason in row["reasons"]:
        assert f"- {reason}" in " ".join(shown.stdout.split())
    (tmp_path / "notes.txt").write_text(TEXTS["bakery"], encoding="utf-8")
    command = row["command"].replace("PATH", shlex.quote(str(tmp_path / "notes.txt")))
    command = command.replace("ADDRESS", shlex.quote(f"qdrant:{tmp_path / 'index'}#notes"))
    program, *arguments = shlex.split(command)
    filled = call(*arguments)
    assert program == "jina-integrations"
    assert filled.exit_code == 0, filled.stderr


def test_report_is_written_whole_in_place_of_the_old_one(words, questions, tmp_path) -> None:
    report = tmp_path / "report.html"
    report.write_text("old", encoding="utf-8")

    result = call("eval", questions, *GRID, "--html", report)

    assert result.exit_code == 0, result.stderr
    text = report.read_text(encoding="utf-8")
    HTMLParser().feed(text)
    assert "village" in text
    assert "</html>" in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "village.jsonl"}


@pytest.mark.parametrize("target", ["none/report.html", ".", "/dev/null"])
def test_report_that_cannot_be_written_is_refused_before_the_work(
    words, questions: Path, tmp_path: Path, monkeypatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = call("eval", questions, *GRID, "--html", target)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {target} ")
    assert words.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["village.jsonl"]


def test_failed_evaluation_leaves_the_old_report(words, questions: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("old", encoding="utf-8")

    result = call("eval", questions, "--measure", "luck", "--html", report)

    assert result.exit_code == 2
    assert report.read_text(encoding="utf-8") == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "village.jsonl"}


# Options, refusals, exit codes


def test_lists_are_the_axes_of_the_grid() -> None:
    grid = parse_grid(
        chunkers="sentence:128, token:64:8",
        context_weights="0,.5,1",
        neighbour_weights="none",
        windows="512/256, auto,128,auto/8",
        dimensions="full,256",
        precisions="auto,bfloat16",
        heading_contexts="off, on",
        quantizations="none,int8",
        retrievals="dense,bm25",
    )

    assert grid.configurations == (
        Grid(
            chunkers=[SentenceChunker(128), TokenChunker(64, overlap_tokens=8)],
            context_weights=[0.0, 0.5, 1.0],
            neighbour_weights=[],
            windows=[(512, 256), (None, None), (128, None), (None, 8)],
            dimensions=[None, 256],
            precisions=[None, "bfloat16"],
            heading_contexts=[False, True],
            quantizations=["none", "int8"],
            retrievals=["dense", "bm25"],
        ).configurations
    )


def test_options_reach_the_embedder(words, questions: Path) -> None:
    result = call(
        *("eval", questions, *GRID, "--embedder", "words", "--device", "cpu", "--truncate"),
        *("--batch-tokens", "77", "--backend", "local", "--json"),
    )

    settings = json.loads(result.stdout)["embedder"]
    assert {"model": "words", "device": "cpu", "truncate": True, "batch_tokens": 77}.items() <= (
        settings.items()
    )


def test_headings_are_an_axis(words, tmp_path: Path) -> None:
    (tmp_path / "village.md").write_text(
        "# Village\n\nAll live here.\n\n## Bakery\n\nIt opens at six. It closes at noon.\n",
        encoding="utf-8",
    )
    questions = tmp_path / "questions.jsonl"
    asked = {"document": "village.md", "question": "When does the bakery open?"}
    questions.write_text(json.dumps({**asked, "start": 37, "end": 53}), encoding="utf-8")
    options = (*GRID, "--heading-contexts", "off,on")

    shown = call("eval", questions, *options)
    rows = json.loads(call("eval", questions, *options, "--json").stdout)["results"]

    assert shown.exit_code == 0, shown.stderr
    table = [line.split("  ")[0] for line in shown.stdout.splitlines()]
    ways = ["isolated", "isolated headings", "late", "late headings"]
    assert [line for line in table if line in ways] == ways * 2
    assert [row["heading_context"] for row in rows] == [False, True] * 4


def test_failed_documents_are_listed_and_change_the_exit_code(words, tmp_path: Path) -> None:
    path = write_questions(tmp_path / "q.jsonl", {**TEXTS, "bad\nname": "This gives NaN here."})

    result = call("eval", path, *GRID)

    assert result.exit_code == 1
    assert result.stderr.startswith("failed: bad name: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout.startswith("q: 3 questions on 3 documents")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--chunkers", ""], "chunkers is empty"),
        (["--chunkers", "words:1"], "names no chunker"),
        (["--chunkers", "token:6,token:6"], "twice"),
        (["--context-weights", "0,half"], "--context-weights must be numbers"),
        (["--context-weights", "2"], "context_weight must be less than or equal to 1, not 2.0"),
        (["--context-weights", "nan"], "context_weight must be a finite number, not nan"),
        (["--neighbour-weights", "0"], "0 adds no neighbours"),
        (["--windows", "512:256"], "TOKENS/OVERLAP"),
        (["--windows", "/4"], "TOKENS/OVERLAP"),
        (["--dimensions", "half"], "is not a number, or full"),
        (["--dimensions", "4"], "8 to 32"),
        (["--windows", "4/0"], "window_tokens must be greater than or equal to 8, not 4"),
        (["--precisions", "int3"], "int3"),
        (["--heading-contexts", "yes"], "'yes' is neither off nor on"),
        (["--quantizations", "ternary"], "ternary"),
        (["--retrievals", "sparse"], "sparse"),
        (["--measure", "luck"], "luck"),
        (["--form", "poem"], "poem"),
        (["--split", "dev"], "split"),
        (["--backend", "moon"], "moon"),
        (["--questions", "0"], "--questions"),
        (["--seed", "7"], "say how many by --questions"),
        (["-k", "101"], "101"),
    ],
)
def test_wrong_usage_is_one_line(words, questions: Path, options: list[str], said: str) -> None:
    result = call("eval", questions, *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert words.calls == []


def test_path_that_is_not_there(words, tmp_path: Path) -> None:
    result = call("eval", tmp_path / "none.jsonl")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_recommendation_needs_something_that_ingest_can_write(evaluation: Evaluation) -> None:
    with pytest.raises(InvalidSettingError, match="nothing to recommend"):
        recommend(replace(evaluation, results=()))
