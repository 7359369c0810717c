"""docs/stores.md says of each store what its capabilities say."""

from __future__ import annotations

from pathlib import Path

import pytest

from jina_integrations.stores import open_store

PAGE = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
OPERATORS = {
    "equal, any of": "any",
    "not": "none",
    "range of numbers": "range",
    "range of dates": "date_range",
    "exists": "exists",
}


@pytest.mark.parametrize(
    ("kind", "library"),
    [("qdrant-edge", "qdrant_edge"), ("qdrant", "qdrant_client"), ("chroma", "chromadb")],
)
def test_the_table_of_filters(kind: str, library: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    table = PAGE.split("| Filter |")[1].split("\n\n")[0]
    kinds, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    column = kinds.index(f"`{kind}`") + 1
    said = {OPERATORS[cells[0]] for cells in lines if cells[column] == "yes"}
    assert len(lines) == len(OPERATORS)
    for address in (f"{kind}:{tmp_path}/index#abc", f"{kind}+http://127.0.0.1:9/abc"):
        if not address.startswith("qdrant-edge+"):
            assert open_store(address).capabilities.operators == said
