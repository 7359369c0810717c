"""What a `Store` must survive: a killed writer and a full disk.

::

    class TestMyStoreKilled(KilledWriterContract):
        @pytest.fixture
        def location(self, tmp_path):
            return f"mystore:{tmp_path}#handbook"

    class TestMyStoreOnAFullDisk(FullDiskContract):
        kind = "mystore"
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from ..stores import open_store
from .store_contract import INFO, embedded, vectors

__all__ = ["FullDiskContract", "KilledWriterContract"]

_WRITER = """
import sys
from jina_integrations.stores import open_store
from jina_integrations.testing.store_contract import embedded

store = open_store(sys.argv[1])
for number in range(10_000):
    store.write(embedded(f"d{number}", "v1", 40, seed=number))
    print(number, flush=True)
"""


class KilledWriterContract:
    """Subclass it and override `location`, for a store that keeps its data beyond the process."""

    @pytest.fixture
    def location(self) -> str:
        """Where the collection is to be made, as `open_store` takes it."""
        raise NotImplementedError("override the fixture location")

    @pytest.mark.parametrize("finished", [0, 3])
    def test_a_killed_writer_loses_nothing_it_confirmed(self, location: str, finished: int) -> None:
        """What `write` returned for is complete, and the next run completes the rest."""
        with open_store(location) as store:
            store.create(INFO)
        self._write_and_kill(location, finished)
        documents = [f"d{number}" for number in range(finished + 3)]
        with open_store(location) as store:
            complete = store.find_complete(dict.fromkeys(documents, "v1"))
            assert complete >= set(documents[: finished + 1])
            for document in complete:
                hits = store.search(vectors(1)[0], k=100, filters={"document_id": document})
                assert sorted(hit.chunk.index for hit in hits) == list(range(40))
            for number, document in enumerate(documents):
                if document not in complete:
                    store.write(embedded(document, "v1", 40, seed=number))
            assert store.find_complete(dict.fromkeys(documents, "v1")) == set(documents)

    @staticmethod
    def _write_and_kill(location: str, finished: int) -> None:
        command: Sequence[str] = [sys.executable, "-c", _WRITER, location]
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
from jina_integrations.stores import open_store
from jina_integrations.testing.store_contract import INFO, embedded

store = open_store(sys.argv[1])
store.create(INFO)
try:
    for number in range(2000):
        store.write(embedded(f"d{number}", "v1", 40, seed=number))
except StoreFullError as exc:
    print("full:", exc)
else:
    sys.exit("the disk never got full")
store.close()
subprocess.run(["mount", "-o", "remount,size=64m", "disk"], check=True)
store = open_store(sys.argv[1])
versions = {f"d{row}": "v1" for row in range(number + 1)}
missing = versions.keys() - store.find_complete(versions)
assert missing <= {f"d{number}"}, missing
store.write(embedded(f"d{number}", "v1", 40, seed=number))
assert store.find_complete(versions) == versions.keys()
assert store.counts().chunks == 40 * (number + 1)
print("completed", number)
"""

_NO_MOUNT = 77


class FullDiskContract:
    """Subclass it and set `kind`, for a store that keeps its data in a folder."""

    kind: ClassVar[str]
    """Name of the store's entry point."""

    def test_a_full_disk_is_named_and_loses_nothing(self, tmp_path: Path) -> None:
        """On a file system of 6 MB, which then grows. Needs Linux, and leave to mount one."""
        unshare = shutil.which("unshare")
        if unshare is None:
            pytest.skip("needs unshare(1) to mount a small file system")
        (tmp_path / "disk").mkdir()
        mount = f'mount -t tmpfs -o size=6m none disk || exit {_NO_MOUNT}; exec "$@"'
        location = f"{self.kind}:disk/index#handbook"
        done = subprocess.run(  # noqa: S603
            [unshare, "-Urm", "sh", "-c", mount, "sh", sys.executable, "-c", _FILLER, location],
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
