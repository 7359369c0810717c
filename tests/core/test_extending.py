"""The store of docs/extending.md is the one that ships, and passes the contract."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from jina_integrations.errors import InvalidSettingError
from jina_integrations.stores import Store, open_store
from jina_integrations.testing import MemoryStore, StoreContract, memory_store

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
_numbers = count()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def open_store(self) -> Callable[[], Store]:
        name = f"memory:contract {next(_numbers)}"
        return lambda: MemoryStore.from_address(name)


def block(language: str) -> str:
    """The first of the page."""
    return PAGE.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def test_the_page_shows_the_file() -> None:
    """But for the form of its imports and the linter's comment."""
    source = Path(memory_store.__file__).read_text(encoding="utf-8")
    source = re.sub(r"^# ruff: .*\n", "", source, flags=re.MULTILINE)
    assert block("python") == source.replace("from ..", "from jina_integrations.")


def test_it_is_short() -> None:
    assert len(block("python").splitlines()) < 120


def test_its_entry_point_makes_it_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidSettingError, match="no store is called 'memory'"):
        open_store("memory:notes")
    ((group, targets),) = tomllib.loads(block("toml"))["project"]["entry-points"].items()
    metadata = tmp_path / "memory_store-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: memory-store\nVersion: 1\n")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in targets.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    store = open_store("memory:notes")
    assert isinstance(store, MemoryStore)
    assert store.name == "collection 'notes' in memory"
    with pytest.raises(InvalidSettingError, match="write memory:COLLECTION"):
        open_store("memory:")
