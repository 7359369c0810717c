"""What a `Store` must survive: a killed writer, a run that fails, and a full disk.

::

    class TestMyStoreKilled(KilledWriterContract):
        @pytest.fixture
        def address(self, tmp_path):
            return f"mystore:{tmp_path}/index#handbook"

    class TestMyStoreOnAFullDisk(FullDiskContract):
        kind = "mystore"
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from ..collection import Collection
from ..embedding.embedder import Embedder
from ..stores import AnyOf, open_store
from ..stores.access import StoreAccess
from ..types import Document
from .store_samples import DIMENSIONS, INFO, dense_vectors, records

__all__ = ["FullDiskContract", "KilledWriterContract"]

_WRITER = """
import sys
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing.store_samples import records

access = StoreAccess(open_store(sys.argv[1]))
for number in range(10_000):
    access.write(records(f"d{number}", "v1", 40, seed=number))
    print(number, flush=True)
"""


class KilledWriterContract:
    """Subclass it and override `address`, for a store that keeps its data beyond the process.

    Attributes:
        is_shared: Whether others may write while a store has it open, and none is writing.
    """

    is_shared: ClassVar[bool] = True

    @pytest.fixture
    def address(self) -> str:
        """Where the collection is to be made, as `open_store` takes it."""
        raise NotImplementedError("override the fixture address")

    @pytest.mark.parametrize("finished", [0, 3])
    def test_a_killed_writer_loses_nothing_it_confirmed(self, address: str, finished: int) -> None:
        """Of each document whose first chunk is there, all chunks are; the rest can be written."""
        with closing(StoreAccess(open_store(address))) as access:
            access.create(INFO)
        _write_and_kill(address, finished)
        documents = [f"d{number}" for number in range(finished + 3)]
        with closing(StoreAccess(open_store(address))) as access:
            assert access.describe() == INFO
            first = (AnyOf("document_id", tuple(documents)), AnyOf("chunk_index", (0,)))
            complete = {record.chunk.document_id for record in access.scan(first, content=False)}
            assert complete >= set(documents[: finished + 1])
            for document in complete:
                where = (AnyOf("document_id", (document,)),)
                assert access.count(where) == 40
                hits = access.search(dense_vectors(1)[0], k=100, where=where)
                assert sorted(hit.chunk.index for hit in hits) == list(range(40))
            for number, document in enumerate(documents):
                if document not in complete:
                    access.write(records(document, "v1", 40, seed=number))
            assert access.count((AnyOf("document_id", tuple(documents)),)) == 40 * len(documents)

    def test_a_run_that_fails_lets_others_write(self, address: str) -> None:
        """Another collection of this process, and another process; `Store.release` sees to it."""
        documents = [Document(f"d{number}", "Rye bread. " * 200) for number in range(30)]

        def failing() -> Iterator[Document]:
            yield from documents[:25]
            raise RuntimeError("the source fails")

        with _collection(address) as first:
            first.ingest(documents[:5])
            with pytest.raises(RuntimeError, match="the source fails"):
                first.ingest(failing())
            assert first.info().documents > 5
            if not self.is_shared:
                first.close()
            with _collection(address) as second:
                assert not second.ingest(documents).failures
                if not self.is_shared:
                    second.close()
                command = [sys.executable, "-c", _ANOTHER_PROCESS, address]
                done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
                assert done.returncode == 0, done.stderr
            assert first.info().documents == 31
            assert first.ingest(documents).documents_unchanged == 30


def _collection(address: str) -> Collection:
    return Collection(address, embedder=Embedder("echo", dimensions=DIMENSIONS, batch_tokens=24))


_ANOTHER_PROCESS = """
import sys
from jina_integrations import Document
from jina_integrations.testing.store_failures import _collection

with _collection(sys.argv[1]) as collection:
    collection.ingest([Document("another", "Its text.")])
"""


def _write_and_kill(address: str, finished: int) -> None:
    command = [sys.executable, "-c", _WRITER, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == finished:
                writer.kill()  # in the middle of the next document, or soon before
                break
        else:
            pytest.fail(f"the writer ended by itself with {writer.wait()}")


_FILLER = """
import subprocess, sys
from jina_integrations.errors import StoreFullError
from jina_integrations.stores import AnyOf, open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing.store_samples import INFO, records

access = StoreAccess(open_store(sys.argv[1]))
access.create(INFO)
try:
    for number in range(5000):
        access.write(records(f"d{number}", "v1", 40, seed=number))
except StoreFullError as exc:
    print("full:", exc)
else:
    sys.exit("the disk never got full")
access.close()
subprocess.run(["mount", "-o", f"remount,size={sys.argv[2]}", "disk"], check=True)
access = StoreAccess(open_store(sys.argv[1]))
first = (AnyOf("chunk_index", (0,)),)
complete = {record.chunk.document_id for record in access.scan(first, content=False)}
assert {f"d{row}" for row in range(number)} <= complete, number
access.write(records(f"d{number}", "v1", 40, seed=number))
assert access.count(first) == number + 1
assert access.count() == 40 * (number + 1)
print("completed", number)
"""

_NO_MOUNT = 77


class FullDiskContract:
    """Subclass it and set `kind`, for a store that keeps its data in a folder.

    Attributes:
        kind: Name of the store's entry point.
        small: Size of the disk that gets full; an empty collection must fit.
        large: Its size afterwards, on which the run is completed.
    """

    kind: ClassVar[str]
    small: ClassVar[str] = "6m"
    large: ClassVar[str] = "64m"

    def test_a_full_disk_is_named_and_loses_nothing(self, tmp_path: Path) -> None:
        """On a file system that then grows. Needs Linux, and leave to mount one."""
        unshare = shutil.which("unshare")
        if unshare is None:
            pytest.skip("needs unshare(1) to mount a small file system")
        (tmp_path / "disk").mkdir()
        mount = f'mount -t tmpfs -o size={self.small} none disk || exit {_NO_MOUNT}; exec "$@"'
        address = f"{self.kind}:disk/index#handbook"
        writer = [sys.executable, "-c", _FILLER, address, self.large]
        done = subprocess.run(  # noqa: S603
            [unshare, "-Urm", "sh", "-c", mount, "sh", *writer],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == _NO_MOUNT or done.stderr.startswith("unshare"):
            pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()[-200:]}")
        assert done.returncode == 0, done.stderr
        assert "full:" in done.stdout
        assert "completed" in done.stdout
