"""Ingestions that are killed at random moments, and what the store holds in the end.

::

    report = kill_trials(lambda name: f"mystore:{tmp_path}/{name}#handbook", tmp_path, kills=10)
    assert report.ok, report

Each run is a process of its own, forked from one that has loaded everything, so that it costs
milliseconds and not seconds to start. It reads a folder of files and removes what has left it
(``prune=True``). After each kill some files are edited, deleted, renamed, emptied or new. Once a
run ends by itself, the store must equal that of an undisturbed run over the same files into a new
collection: ids, texts, metadata and float32 vectors, byte for byte.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

from ..chunkers import SentenceChunker
from ..collection import Collection
from ..embedding.embedder import Embedder
from ..readers import read_documents
from ..stores.access import StoreAccess
from ..stores.addresses import ENTRY_POINT_GROUP, open_store
from ..stores.records import record_id
from ..types import Record, Vectors

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

__all__ = ["AddressOf", "Files", "KillReport", "kill_trials", "snapshot"]

AddressOf: TypeAlias = Callable[[str], str]
"""From a name to the address of a collection that only this name has."""

_ROOT: Final = "files"
_KILLS_PER_TRIAL: Final = 6
_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class KillReport:
    """What became of the trials. All counts but the first two must be 0.

    Attributes:
        kills: Processes that were killed.
        trials: Stores that were compared, each after a run that ended by itself.
        missing: Chunks that an undisturbed run stores, and these did not.
        changed: Chunks that differ.
        surplus: Chunks that an undisturbed run does not store.
        problems: What `Collection.verify` found, searches by each chunk's own vector included.
    """

    kills: int = 0
    trials: int = 0
    missing: int = 0
    changed: int = 0
    surplus: int = 0
    problems: int = 0

    @property
    def ok(self) -> bool:
        """Whether every store equals that of an undisturbed run."""
        return not (self.missing or self.changed or self.surplus or self.problems)


class Files:
    """A folder of text files that can be worked on, and whose every sentence is its own.

    Args:
        folder: Is made.
        random: Decides all of it.
        count: How many files there are at first.
    """

    def __init__(self, folder: Path, random: Random, count: int = 120) -> None:
        self.folder = folder
        self._random = random
        self._made = 0
        folder.mkdir(parents=True)
        for _ in range(count):
            self._new()

    def edit(self) -> None:
        """Of the files about a tenth is edited, and a few are deleted, renamed, emptied or new."""
        for path in sorted(self.folder.rglob("*.txt")):
            chance = self._random.random()
            if chance < 0.10:
                self._write(path)
            elif chance < 0.15:
                path.unlink()
            elif chance < 0.18:
                path.rename(path.with_name(f"renamed {self._made} {path.name[-20:]}"))
            elif chance < 0.20:
                path.write_text(" \n", encoding="utf-8")
        for _ in range(self._random.randrange(8)):
            self._new()

    def _new(self) -> None:
        self._made += 1
        parent = self.folder / f"folder {self._random.randrange(5)}"
        parent.mkdir(exist_ok=True)
        self._write(parent / f"{self._made}.txt")

    def _write(self, path: Path) -> None:
        self._made += 1
        sentences = self._random.choice((1, 3, 8, 40))
        path.write_text(
            "\n\n".join(
                f"Edition {self._made} has sentence {number}, about {self._random.random()}."
                for number in range(sentences)
            ),
            encoding="utf-8",
        )


def snapshot(address: str) -> dict[str, tuple[Record, bytes]]:
    """All that a collection holds: by id the record without its vector, and the vector's bytes."""
    access = StoreAccess(open_store(address))
    try:
        if access.describe() is None:
            return {}
        return {
            record_id(record): (
                replace(record, vectors=Vectors()),
                b"" if record.vectors.dense is None else record.vectors.dense.tobytes(),
            )
            for record in access.scan(vectors=True)
        }
    finally:
        access.close()


def kill_trials(
    address_of: AddressOf,
    folder: Path,
    *,
    kills: int,
    seed: int = 0,
    files: int = 120,
    on_trial: Callable[[KillReport], None] | None = None,
) -> KillReport:
    """Kill so many runs, and compare the store whenever one has ended by itself.

    Half of the kills come at a random wall time of the run, half at a random time of its CPU.

    Args:
        address_of: Gives collections of the store under test.
        folder: For the files that are ingested.
        kills: How many, at least.
        seed: Of everything that is random but the moments themselves, which vary with the machine.
        files: How many there are at first.
        on_trial: Called with the report so far, after each comparison.

    Raises:
        RuntimeError: a run failed by itself.
    """
    random = Random(seed)  # noqa: S311  # for tests
    source = Files(folder / f"{_ROOT} {seed}", random, files)
    runner = _Runner(address_of("warm"), source.folder)
    report = KillReport()
    name = ""
    while report.kills < kills:
        if not name or random.random() < 0.3:
            name = f"trial-{report.trials}"
        killed = _kill_until_done(runner, address_of(name), source, random)
        expected_address = address_of(f"expected-{report.trials}")
        runner.run(expected_address)
        expected, stored = snapshot(expected_address), snapshot(address_of(name))
        report = KillReport(
            kills=report.kills + killed,
            trials=report.trials + 1,
            missing=report.missing + len(expected.keys() - stored.keys()),
            changed=report.changed
            + sum(stored[key] != expected[key] for key in stored.keys() & expected.keys()),
            surplus=report.surplus + len(stored.keys() - expected.keys()),
            problems=report.problems + _problems(address_of(name)),
        )
        if on_trial is not None:
            on_trial(report)
        source.edit()
    return report


def _kill_until_done(runner: _Runner, address: str, source: Files, random: Random) -> int:
    killed = 0
    while killed < _KILLS_PER_TRIAL:
        by_wall, part = random.random() < 0.5, random.random()
        if not runner.run(address, wall_part=part if by_wall else None, cpu_part=part):
            return killed
        killed += 1
        source.edit()
    runner.run(address)
    return killed


def _problems(address: str) -> int:
    with Collection(address, embedder=_embedder()) as collection:
        return len(collection.verify().problems)


class _Runner:
    """Runs ingestions of one folder in processes, and knows how long a whole one takes."""

    def __init__(self, address: str, source: Path) -> None:
        self._context = get_context("forkserver")
        kind = address.partition(":")[0].partition("+")[0]
        modules = [entry.module for entry in entry_points(group=ENTRY_POINT_GROUP, name=kind)]
        self._context.set_forkserver_preload(
            [
                __name__,
                "jina_integrations.ingestion.driver",
                "jina_integrations.backends.echo",
                *modules,
            ]
        )
        self._source = source
        self._wall_s = self._cpu_s = 0.0
        self.run(f"{address}-before")  # starts the fork server
        self.run(address)

    def run(
        self, address: str, *, wall_part: float | None = None, cpu_part: float | None = None
    ) -> bool:
        """Whether the run was killed, at that part of a whole run's time; at neither for none."""
        receiver, sender = self._context.Pipe(duplex=False)
        by_cpu = wall_part is None and cpu_part is not None
        cpu_s = cpu_part * self._cpu_s if by_cpu and cpu_part is not None else None
        process: ForkServerProcess = self._context.Process(
            target=_ingest, args=(address, str(self._source), cpu_s, sender)
        )
        process.start()
        sender.close()
        process.join(_TIMEOUT_S if wall_part is None else wall_part * self._wall_s)
        if process.is_alive():
            process.kill()
            process.join()
        killed = process.exitcode in (-signal.SIGKILL, -signal.SIGPROF)
        if process.exitcode and not (killed and (wall_part, cpu_part) != (None, None)):
            raise RuntimeError(f"an ingestion into {address} ended with {process.exitcode}")
        if not killed and cpu_part is None:
            self._wall_s, self._cpu_s = receiver.recv()
        receiver.close()
        return killed


def _ingest(address: str, source: str, cpu_s: float | None, sender: Connection) -> None:
    """Run by a process of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who started us may ignore it
    wall_start, cpu_start = time.perf_counter(), time.process_time()
    if cpu_s is not None:  # ends this process as SIGKILL does: nothing catches it
        signal.setitimer(signal.ITIMER_PROF, max(cpu_s, 1e-4))
    with Collection(address, embedder=_embedder(), chunker=SentenceChunker(24)) as collection:
        collection.ingest(read_documents([source], root=_ROOT), prune=True)
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    sender.send((time.perf_counter() - wall_start, time.process_time() - cpu_start))


def _embedder() -> Embedder:
    return Embedder("echo", dimensions=32, batch_tokens=24)
