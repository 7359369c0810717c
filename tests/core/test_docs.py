"""The site builds without a warning and alone; its tables and examples say what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import pytest

import jina_integrations
from jina_integrations import MODEL_CARDS, ModelCard

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, heads and rules included."""
    return [line.split(" | ") for line in ROW.findall(text)]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings_handlers.python")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="session")
def documented(site: Path) -> set[str]:
    """Full names of all that the reference pages describe."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}


def test_every_public_name_is_in_the_reference(documented: set[str]) -> None:
    assert {f"jina_integrations.{name}" for name in jina_integrations.__all__} <= documented


def test_every_reference_page_describes_its_module_and_is_in_the_index(
    documented: set[str],
) -> None:
    index = dict(re.findall(r"^\| \[([\w.]+)\]\((\w+)\.md\)", page("reference/index.md"), re.M))
    names = {path.stem for path in (DOCS / "reference").glob("*.md")} - {"index"}

    assert set(index.values()) == names
    assert index.keys() <= documented
    for module, name in index.items():
        assert page(f"reference/{name}.md").startswith(f"::: {module}\n")


def test_pages_fetch_nothing_from_another_host(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//"
    )
    pages = sorted(site.rglob("*.html"))

    assert len(pages) > 20
    assert [file.name for file in pages if fetched.search(file.read_text(encoding="utf-8"))] == []


def test_literal_blocks_of_docstrings_are_code(site: Path) -> None:
    text = (site / "reference" / "errors.html").read_text(encoding="utf-8")

    assert "<p>::" not in text
    assert re.search(r"<code>JinaIntegrationsError\n├── InvalidInputError", text)


def test_links_out_of_the_documentation_lead_to_files() -> None:
    for file in DOCS.rglob("*.md"):
        for target in re.findall(
            r"(?:\]\(|^\[\w+\]: )(\.\.[^)#\s]+)", file.read_text("utf-8"), re.M
        ):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


# models.md


def expected_row(card: ModelCard) -> list[str]:
    scheme = card.service
    hosted = scheme is not None and scheme.hosted
    late = "no"
    if card.late_chunking is not None:
        late = "yes" if card.late_chunking.enabled else "if asked"
        if scheme is not None and scheme.hosted:
            late += ", at the API too" if scheme.late_chunking else ", not at the API"
    where = "yes, offline" if card.repository is None else "yes"
    if card.remote_code:
        where = "no" if card.multi_vector else "with remote code"
    return [
        f"`{card.id}`",
        f"{card.dimensions:,}" + (f", from {card.min_dimensions}" if card.min_dimensions else ""),
        f"{card.max_tokens:,}",
        "all" if len(card.tasks) == 5 else ", ".join(card.tasks),
        late,
        "text, pictures" if "image" in card.modalities else "text",
        where,
        "yes" if hosted else "no",
        card.licence,
        "yes" if card.commercial else "no",
    ]


def test_the_table_of_models_is_that_of_the_cards() -> None:
    table = [row for row in rows(page("models.md").split("## All models")[1]) if row[0][0] == "`"]

    assert table == [expected_row(card) for card in MODEL_CARDS.values()]


def test_the_self_check_names_models_that_exist() -> None:
    check = page("models.md").split("## All models")[0]
    names = re.findall(r"`((?:jina-(?:embed|code|clip)|minilm|echo)[\w.-]*)`", check)

    assert len(names) > 10
    assert set(names) <= MODEL_CARDS.keys()


# architecture.md


def test_the_architecture_names_files_that_exist() -> None:
    """Paths are those of the repository, or of the core package; a bare name is one in backends."""
    names = re.findall(r"`([\w/]+\.py|[\w/]+/)`", page("architecture.md"))
    places = [ROOT, ROOT / "jina_integrations", ROOT / "jina_integrations/backends/api"]

    assert len(names) > 40
    for name in set(names) - {"src/"}:
        assert any((place / name).exists() for place in places), name


def test_a_span_passes_eleven_files_and_a_document_fifteen() -> None:
    """The walks are numbered, name each file once, and keep to what they aim for."""
    for title, length in (("The walk of a span", 11), ("The walk of a document", 15)):
        walk = page("architecture.md").split(f"## {title}\n")[1].split("\n## ")[0]
        files = re.findall(r"^\d+\. `([\w/]+\.py)`", walk, re.MULTILINE)
        assert len(files) == len(set(files)) == length


def test_the_table_of_import_rules_is_that_of_import_linter() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    table = {row[0]: row[1:] for row in rows(page("architecture.md"))}

    for contract in contracts:
        kind, sources, forbidden = table[contract["name"]]
        assert kind == contract["type"]
        named = contract.get("source_modules", contract.get("modules"))
        ignored = [text.split(" -> ")[0] for text in contract.get("ignore_imports", [])]
        assert set(re.findall(r"`([^`]+)`", sources)) == {*named, *ignored}
        assert re.findall(r"`([^`]+)`", forbidden) == contract.get("forbidden_modules", [])
