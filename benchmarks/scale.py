"""What a large ingestion costs, and a run over it when little or nothing has changed.

    python benchmarks/scale.py --store qdrant-edge [--chunks 1000000] [--baseline]

Documents of 1, 5 and 40 chunks are made one by one while the run takes them; ``echo`` gives
vectors of 384 values. Printed: chunks a second and memory while the first run goes on (RssAnon is
what the process itself holds; RSS has the store's mapped files, too), searches plain and filtered
at 20,000, 100,000 and all chunks, then a run in which nothing has changed and one in which 1 % of
the documents have. `--baseline` first writes the same records to the store without ingestion, so
that memory and time of the store itself are known. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from jina_integrations import Chunk, Collection, Document, Embedder, SentenceChunker
from jina_integrations.ingestion.report import IngestProgress
from jina_integrations.recipe import Recipe
from jina_integrations.stores import CollectionInfo, open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.types import Record, Vectors

SIZES = (1, 5, 40)
"""Chunks of a document, in turn."""

STOPS = (20_000, 100_000)
DIMENSIONS = 384
SEARCHES = 100
WORDS_PER_CHUNK = 24
FILLING = [
    " ".join(f"w{(first + word) % 5003}" for word in range(WORDS_PER_CHUNK - 5))
    for first in range(5003)
]
CHUNKER = SentenceChunker(WORDS_PER_CHUNK)
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Memory:
    """Of this process, in MiB."""

    anonymous: float
    total: float

    @classmethod
    def now(cls) -> Memory:
        """As the kernel says."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        kilobytes = {
            line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")
        }
        return cls(kilobytes["RssAnon"] / 1024, sum(kilobytes.values()) / 1024)


class MemoryWatch:
    """Highest memory while the block runs, looked at ten times a second."""

    def __enter__(self) -> MemoryWatch:
        self.peak = Memory.now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            now = Memory.now()
            self.peak = Memory(
                max(now.anonymous, self.peak.anonymous), max(now.total, self.peak.total)
            )


def documents(first: int, chunks: int, *, changed: float = 0.0) -> Iterator[Document]:
    """Documents from that number on, until they have so many chunks; a share of them changed."""
    number = 0
    made = 0
    every = round(1 / changed) if changed else 0
    while made < first + chunks:
        size = SIZES[number % len(SIZES)]
        if made >= first:
            edition = "second" if every and number % every == 0 else "first"
            yield Document(
                f"folder-{number % 97}/document-{number}",
                " ".join(sentence(number, part, edition) for part in range(size)),
                {"language": ("de", "en", "fr", "ja")[number % 4], "number": number},
            )
        made += size
        number += 1


def sentence(number: int, part: int, edition: str) -> str:
    """One chunk: a sentence of `WORDS_PER_CHUNK` words."""
    return f"Document {number} part {part} {edition} {FILLING[(number * 31 + part * 7) % 5003]}."


def embedder() -> Embedder:
    return Embedder("echo", dimensions=DIMENSIONS)


def search_ms(collection: Collection, *, filtered: bool) -> float:
    """Median milliseconds of a search for 10 hits, embedding included."""
    times = []
    for number in range(SEARCHES):
        filters = {"language": "de"} if filtered else None
        start = time.perf_counter()
        hits = collection.search(sentence(number, 0, "first"), k=10, filters=filters)
        times.append(time.perf_counter() - start)
        if not hits:
            raise SystemExit("a search found nothing")
    return 1000 * float(np.median(times))


def ingest(collection: Collection, items: Iterator[Document], label: str) -> dict[str, float]:
    """One run: seconds, CPU seconds, memory; a line each ten seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    shown = start

    def show(progress: IngestProgress) -> None:
        nonlocal shown
        if time.perf_counter() - shown > 10.0:
            shown = time.perf_counter()
            memory = Memory.now()
            print(
                f"    {shown - start:6.0f} s {progress.chunks:9} chunks "
                f"{memory.anonymous:7.0f} MiB of its own {memory.total:7.0f} MiB",
                flush=True,
            )

    with MemoryWatch() as watch:
        report = collection.ingest(items, on_progress=show)
    if report.failures:
        raise SystemExit(f"{len(report.failures)} failed: {report.failures[0].error}")
    seconds = time.perf_counter() - start
    print(
        f"  {label:28} {seconds:8.1f} s {time.process_time() - cpu:8.1f} CPU s "
        f"{report.documents_embedded:7} embedded {report.documents_unchanged:7} unchanged "
        f"{report.chunks_written:8} written {report.chunks_dropped:7} dropped "
        f"{watch.peak.anonymous:6.0f} / {watch.peak.total:6.0f} MiB",
        flush=True,
    )
    return {
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu,
        "chunks": report.chunks_written,
        **asdict(watch.peak),
    }


def split(chunks: int) -> dict[str, float]:
    """Milliseconds a chunk of what comes before the store: making, chunking, embedding."""
    model = embedder()
    start = time.perf_counter()
    items = list(documents(0, chunks))
    made = time.perf_counter()
    pieces = [piece for item in items for piece in CHUNKER.chunk(item, model.tokenizer)]
    cut = time.perf_counter()
    model.embed_documents([piece.text for piece in pieces])
    done = time.perf_counter()
    count = len(pieces) / 1000
    return {
        "chunks_cut": len(pieces),
        "making_ms": (made - start) / count,
        "chunking_ms": (cut - made) / count,
        "echo_ms": (done - cut) / count,
    }


def baseline(address: str, chunks: int) -> dict[str, float]:
    """The store alone: the same number of such records, in lists as a run writes them."""
    access = StoreAccess(open_store(address))
    recipe = Recipe.of(embedder(), CHUNKER)
    access.create(CollectionInfo(recipe.to_dict(), {"dense": DIMENSIONS}))
    random = np.random.default_rng(0)
    written = 0
    start, cpu = time.perf_counter(), time.process_time()
    with MemoryWatch() as watch:
        part: list[Record] = []
        for item in documents(0, chunks):
            texts = item.text.split(". ")
            for index, text in enumerate(texts):
                vector = random.standard_normal(DIMENSIONS, np.float32)
                chunk = Chunk(item.id, index, 0, len(text), text, item.metadata)
                part.append(Record(chunk, "v", len(texts), Vectors(dense=vector)))
            if len(part) > 1500:
                access.write(part)
                written += len(part)
                part = []
        access.write(part)
        access.settle()
    access.close()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu,
        "chunks": written + len(part),
        **asdict(watch.peak),
    }


def rounded(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="qdrant-edge", help="qdrant-edge, qdrant or chroma")
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--baseline", action="store_true", help="measure the store alone, first")
    parser.add_argument(
        "--folder", type=Path, help="where the index goes; default: a temporary one"
    )
    arguments = parser.parse_args()
    result: dict[str, object] = {"store": arguments.store, "chunks": arguments.chunks}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        address = f"{arguments.store}:{folder}/index#scale"
        print(f"{arguments.store}, {arguments.chunks} chunks of {DIMENSIONS} values")
        before_the_store = split(min(arguments.chunks, 20_000))
        result["split"] = before_the_store
        print(f"  before the store, ms a chunk: {rounded(before_the_store)}")
        if arguments.baseline:
            alone = baseline(f"{arguments.store}:{folder}/alone#scale", arguments.chunks)
            result["baseline"] = alone
            print(f"  the store alone: {rounded(alone)}")
        with Collection(address, embedder=embedder(), chunker=CHUNKER) as collection:
            first: list[dict[str, float]] = []
            searches = {}
            before = 0
            for stop in (*(stop for stop in STOPS if stop < arguments.chunks), arguments.chunks):
                items = documents(before, stop - before)
                first.append(ingest(collection, items, f"first run, up to {stop}"))
                before = stop
                plain = search_ms(collection, filtered=False)
                filtered = search_ms(collection, filtered=True)
                searches[stop] = {"plain_ms": plain, "filtered_ms": filtered}
                print(f"  search at {stop:9}: {plain:.1f} ms plain, {filtered:.1f} ms filtered")
            whole = sum(run["seconds"] for run in first)
            whole_cpu = sum(run["cpu_s"] for run in first)
            result |= {"first": first, "first_seconds": whole, "searches": searches}
            for label, changed in (("nothing changed", 0.0), ("1 % changed", 0.01)):
                items = documents(0, arguments.chunks, changed=changed)
                again = ingest(collection, items, label)
                part, part_cpu = again["seconds"] / whole, again["cpu_s"] / whole_cpu
                print(
                    f"  {label}: {100 * part:.1f} % of the first run, "
                    f"{100 * part_cpu:.1f} % of its CPU time"
                )
                result[label] = {**again, "part_of_first": part, "part_of_first_cpu": part_cpu}
            started = time.perf_counter()
            for _ in documents(0, arguments.chunks):
                pass
            making_s = time.perf_counter() - started
            result["making_all_s"] = making_s
            print(f"  of each run, making the documents: {making_s:.1f} s")
            print(f"  {sum(r['chunks'] for r in first) / whole:.0f} chunks/s in the first run")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
