"""The rules of the house: what imports what, how large a module is, and what is installed."""

from __future__ import annotations

import ast
import importlib
import io
import os
import subprocess
import sys
import sysconfig
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CORE = ROOT / "jina_integrations"
ADAPTERS = ROOT / "adapters" / "jina_adapters"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ADAPTERS.parent)])}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

HEAVY = {
    "chromadb",
    "huggingface_hub",
    "langchain_core",
    "llama_index",
    "peft",
    "qdrant_client",
    "qdrant_edge",
    "safetensors",
    "sentence_transformers",
    "tokenizers",
    "torch",
    "transformers",
}


def module_names() -> Iterator[str]:
    for package in (CORE, ADAPTERS):
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            if parts[-1] != "__main__":  # which is there to be run, not imported
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Absolute names that an adapter's import statements mention, wherever they stand in it."""
    parts = path.relative_to(ADAPTERS.parent).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            prefix = ".".join((*base, node.module or "")).strip(".")
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", ["jina_integrations", "jina_integrations.cli", "jina_adapters"])
def test_import_loads_no_heavy_library(module: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert module in loaded
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("name", list(module_names()))
def test_all_names_what_the_module_has(name: str) -> None:
    module = importlib.import_module(name)

    missing = [public for public in getattr(module, "__all__", []) if not hasattr(module, public)]

    assert not missing


def test_import_of_the_package_loads_nothing_but_the_package() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, jina_integrations; print(*sys.modules)"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert {"numpy", "pydantic"}.isdisjoint(loaded)
    assert [name for name in loaded if name.startswith("jina_integrations")] == [
        "jina_integrations"
    ]


def test_every_public_name_is_found_at_first_use() -> None:
    import jina_integrations

    for name in jina_integrations.__all__:
        assert getattr(jina_integrations, name) is not None
    assert dir(jina_integrations) == sorted(jina_integrations.__all__)
    with pytest.raises(AttributeError, match="ingest"):
        _ = jina_integrations.ingest  # a free function of earlier versions


def test_type_checkers_see_the_names_that_are_found() -> None:
    """The lazy names of `__init__`, and those that it imports for type checkers alone."""
    tree = ast.parse((CORE / "__init__.py").read_text(encoding="utf-8"))
    checked = {
        (alias.name, f".{node.module}" if node.module else ".")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    import jina_integrations

    lazy = set(vars(jina_integrations)["_MODULES"].items())
    assert lazy == checked - {("errors", ".")}


def test_import_linter_contracts_hold() -> None:
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"
    if not lint_imports.exists():
        pytest.skip("import-linter is not installed")

    result = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted(ADAPTERS.rglob("*.py")), ids=lambda path: path.stem)
def test_adapters_never_import_each_other(path: Path) -> None:
    package = path.relative_to(ADAPTERS).with_suffix("").parts[0]

    strangers = {
        name
        for name in imported_modules(path)
        if name.split(".")[0] == "jina_adapters" and name.split(".")[1:2] != [package]
    }

    assert not strangers


def test_modules_are_small() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in (CORE, ADAPTERS)
        for path in package.rglob("*.py")
    }

    assert {path: lines for path, lines in sizes.items() if lines >= 400} == {}


@pytest.mark.parametrize(
    ("files", "most"),
    [
        (("qdrant/store.py", "qdrant/points.py"), 250),
        (("qdrant/edge.py", "qdrant/shards.py", "qdrant/points.py"), 250),
        (("qdrant/folder.py",), 110),  # beside those of the server
        (("chroma/store.py", "chroma/filters.py"), 250),
    ],
    ids=["qdrant server", "qdrant edge", "qdrant folder", "chroma"],
)
def test_a_store_is_a_translation(files: tuple[str, ...], most: int) -> None:
    """A store that needs more lines of code, filters and failures included, has policy in it."""
    assert sum(code_lines(ADAPTERS / file) for file in files) <= most


def code_lines(path: Path) -> int:
    """Lines that hold code: without blank ones, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    prose = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return len(
        {
            number
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.string.strip() and token.type != tokenize.COMMENT
            for number in range(token.start[0], token.end[0] + 1)
        }
        - prose
    )


def test_source_roots_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not (ADAPTERS.parent / "__init__.py").exists()
    assert list(ADAPTERS.parent.glob("[!._]*")) == [ADAPTERS]


def test_both_packages_are_typed() -> None:
    assert (CORE / "py.typed").is_file()
    assert (ADAPTERS / "py.typed").is_file()


@pytest.mark.parametrize("target", [*PROJECT["entry-points"]["jina_integrations.stores"].values()])
def test_store_entry_points_resolve(target: str) -> None:
    from jina_integrations.stores.base import Store

    module, name = target.split(":")

    assert issubclass(getattr(importlib.import_module(module), name), Store)


def test_constraints_pin_every_dependency_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(name): version for name, version in pins}
    requirements = [
        Requirement(text)
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for text in group
    ]

    for requirement in requirements:
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])
