"""The documentation does what it says: its Python runs, its commands run, what it names exists.

Of README.md and every page of docs/, the ``python`` blocks of one page run in order with the same
names, and the ``bash`` blocks line by line, in a folder that holds some of the documentation. Only
loopback can be reached. Blocks in any other language (``text``, ``console``) are not run. A
``serve`` command is run until it says that it serves; where a page speaks to 127.0.0.1:8000, a
server of ``minilm`` answers, on whatever port is free.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jina_integrations.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(^|\s)#.*")
PREAMBLE = """\
import pytest_socket
pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
"""
ADDRESS = "127.0.0.1:8000"
CLI = PREAMBLE + "from jina_integrations.cli import main; main()"


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Line number and text of the page's fenced blocks in that language."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


def commands(page: Path) -> list[list[str]]:
    """The page's shell commands, split into words."""
    lines = [
        shlex.split(COMMENT.sub("", line))
        for _, block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [words for words in lines if words]


def with_block(language: str) -> list:
    return [pytest.param(page, id=page.name) for page in PAGES if blocks(page, language)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty but for some of the documentation, enough to be ingested."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("index.md", "ingestion.md", "readers.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs")
    return tmp_path


def environment() -> dict[str, str]:
    keys = {"JINA_API_KEY", "JINAAI_API_KEY"}
    without_keys = {name: value for name, value in os.environ.items() if name not in keys}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    return without_keys | {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}


@contextmanager
def serving(*arguments: str, cwd: Path) -> Iterator[str]:
    """Host and port of a server that is started by the command and ends with the block."""
    command = [sys.executable, "-c", CLI, *arguments, "--port", "0"]
    with subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            address = re.search(r"http://([^/\s]+)", ready)
            assert address, f"{arguments}: {ready!r}"
            yield address[1]
        finally:
            process.terminate()
    assert process.returncode == 0, arguments


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a server of minilm."""
    with serving("serve", "--embedder", "minilm", cwd=tmp_path_factory.mktemp("server")) as address:
        yield address


def run_command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, in this process, which has loaded the model already."""
    monkeypatch.setattr(sys, "argv", ["jina-integrations", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code, arguments


@pytest.mark.parametrize("page", with_block("python"))
def test_python_blocks_run(page: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for line, block in blocks(page, "python"):
        source = block
        if ADDRESS in block:
            source = block.replace(ADDRESS, request.getfixturevalue("server"))
        # Leading newlines make the line numbers of a traceback those of the page.
        exec(compile("\n" * (line - 1) + source, page.name, "exec"), names)


@pytest.mark.parametrize("page", with_block("bash"))
def test_commands_run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in commands(page):
        match words:
            case ["jina-integrations", "serve", *arguments]:
                with serving("serve", *arguments, cwd=folder):
                    pass
            case ["jina-integrations", *arguments]:
                run_command(arguments, monkeypatch)
            case ["pip", "install", *arguments]:
                check_install(arguments)
            case ["python", script, *_]:
                assert (ROOT / script).is_file(), words
            case [script, *_]:
                assert script.startswith("scripts/"), f"{page.name}: what is {shlex.join(words)}?"
                assert os.access(ROOT / script, os.X_OK), script


def check_install(arguments: list[str]) -> None:
    """The project is installed from the clone, and has the extras that are asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requested = [text for text in arguments if text == "." or text.startswith(".[")]

    assert not any(text.startswith(project["name"]) for text in arguments), "it is not on PyPI"
    for text in requested:
        requirement = Requirement(text.replace(".", project["name"], 1))
        assert requirement.extras <= project["optional-dependencies"].keys()
