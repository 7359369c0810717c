"""Killed at random moments, with edits between: the store ends as an undisturbed run's.

The long form, 100 kills for each store, is ``benchmarks/soak.py``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from jina_integrations.testing.killing import Files, kill_trials, snapshot

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


@pytest.mark.parametrize(
    ("kind", "library"),
    [("qdrant-edge", "qdrant_edge"), ("qdrant", "qdrant_client"), ("chroma", "chromadb")],
)
def test_store_equals_that_of_an_undisturbed_run(kind: str, library: str, tmp_path: Path) -> None:
    pytest.importorskip(library)

    report = kill_trials(
        lambda name: f"{kind}:{tmp_path / name}#kills",
        tmp_path,
        kills=4,
        seed=time.time_ns(),
        files=16,
    )

    assert report.ok, report
    assert report.kills >= 4
    assert report.trials >= 1


def test_comparison_sees_every_difference(tmp_path: Path) -> None:
    """Of the harness itself: a store that was edited behind its back is not equal."""
    pytest.importorskip("qdrant_edge")
    from random import Random

    from jina_integrations import Collection, Embedder, read_documents

    source = Files(tmp_path / "files", Random(0), 6)
    addresses = [f"qdrant-edge:{tmp_path / name}#kills" for name in ("one", "two")]
    for address in addresses:
        with Collection(address, embedder=Embedder("echo")) as collection:
            collection.ingest(read_documents([source.folder]))
    first, second = map(snapshot, addresses)
    assert first == second
    assert len(first) >= 6

    source.edit()
    with Collection(addresses[1], embedder=Embedder("echo")) as collection:
        collection.ingest(read_documents([source.folder]), prune=True)
    assert snapshot(addresses[1]) != first
