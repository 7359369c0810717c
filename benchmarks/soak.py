"""Kills and faults: whatever happens to a run, the next one ends with the right store.

    python benchmarks/soak.py --store qdrant-edge [--kills 100] [--faults] [--dead-s 60] [--seed 0]

`--store` is ``qdrant-edge``, ``qdrant`` or ``chroma`` (folders), or ``chroma-server``, which is
started here. `--kills` counts processes that are killed at random moments, with files edited,
deleted, renamed, emptied and new between them; the final store is compared byte for byte with that
of an undisturbed run (see `jina_integrations.testing.killing`). `--faults` adds: store calls of
which 5 % fail, slow calls, a store that is dead for a while, a server that is killed and started
again, and two runs at once. Prints a table; exits with 1 where a store differs.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from random import Random

from jina_integrations import Collection, Embedder, IngestReport, SentenceChunker, read_documents
from jina_integrations.errors import StoreError
from jina_integrations.stores import Store, open_store
from jina_integrations.testing.faults import FaultyStore
from jina_integrations.testing.killing import AddressOf, Files, KillReport, kill_trials, snapshot

FOLDER_STORES = ("qdrant-edge", "qdrant", "chroma")


class ChromaServer:
    """``chroma run`` on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Until it answers."""
        command = [str(Path(sys.executable).with_name("chroma")), "run"]
        command += ["--path", str(self._folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
        )
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.1)
        raise SystemExit("chroma run did not start")

    def kill(self) -> None:
        """With SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def addresses(store: str, folder: Path) -> Iterator[tuple[AddressOf, ChromaServer | None]]:
    """Addresses of new collections, and the server to kill if there is one."""
    if store in FOLDER_STORES:
        yield lambda name: f"{store}:{folder / name}#soak", None
        return
    server = ChromaServer(folder / "server")
    try:
        yield lambda name: f"chroma+http://127.0.0.1:{server.port}/{name}", server
    finally:
        server.kill()


def ingest(
    store: str | Store, source: Path, on_progress: Callable[[object], None] | None = None
) -> IngestReport:
    with Collection(
        store,
        embedder=Embedder("echo", dimensions=32, batch_tokens=24),
        chunker=SentenceChunker(24),
    ) as collection:
        return collection.ingest(
            read_documents([source], root="soak"), prune=True, on_progress=on_progress
        )


class Faults:
    """Runs under faults, each compared with an undisturbed run over the same files."""

    def __init__(self, address_of: AddressOf, folder: Path, seed: int, files: int) -> None:
        self._address_of = address_of
        self._files = Files(folder / "faults", Random(seed), files)
        self.differences = self._number = 0

    def compare(self, title: str, run: Callable[[str, Path], str]) -> None:
        """Let `run` fill a collection, twice, with edits in between, and compare it."""
        self._number += 1
        name = f"fault-{self._number}"
        start = time.perf_counter()
        notes = []
        for _ in range(2):
            self._files.edit()
            notes.append(run(self._address_of(name), self._files.folder))
        seconds = time.perf_counter() - start
        expected = self._address_of(f"{name}-expected")
        ingest(expected, self._files.folder)
        right, stored = snapshot(expected), snapshot(self._address_of(name))
        wrong = len(right.keys() ^ stored.keys())
        wrong += sum(stored[key] != right[key] for key in stored.keys() & right.keys())
        self.differences += wrong
        print(f"  {title:34} {wrong:5} of {len(right)} differ, {seconds:6.1f} s; {notes[-1]}")


def through_faults(**faults: object) -> Callable[[str, Path], str]:
    def run(address: str, source: Path) -> str:
        faulty = FaultyStore(open_store(address), **faults)  # type: ignore[arg-type]
        try:
            ingest(faulty, source)
        finally:
            faulty.close()
        return f"{faulty.faults} of {faulty.calls} calls failed"

    return run


def two_at_once(address: str, source: Path) -> str:
    """Both finish, or one is told who holds the store; then one more run over all of it."""
    ends: list[str] = []

    def run() -> None:
        code = (
            "import sys; sys.path[:0] = [sys.argv[1]]\n"
            "from pathlib import Path\nfrom soak import ingest\n"
            "ingest(sys.argv[2], Path(sys.argv[3]))"
        )
        command = [sys.executable, "-c", code, str(Path(__file__).parent), address, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = done.stderr.strip().splitlines()[-1:] or ["done"]
        ends.append("done" if done.returncode == 0 else last[0])

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if "done" not in ends:
        raise SystemExit(f"neither of two runs at once ended well: {ends}")
    ingest(address, source)
    return "; ".join(f"{end:.70}" for end in sorted(ends))


def restarted(server: ChromaServer, dead_s: float) -> Callable[[str, Path], str]:
    def run(address: str, source: Path) -> str:
        begun = threading.Event()  # before it, the address might as well be wrong

        def restart() -> None:
            begun.wait()
            server.kill()
            time.sleep(dead_s)
            server.start()

        thread = threading.Thread(target=restart)
        thread.start()
        try:
            ingest(address, source, lambda _: begun.set())
        except StoreError as exc:
            return f"the run ended: {exc!s:.80}"
        finally:
            begun.set()
            thread.join()
        return f"killed, and started again after {dead_s:.0f} s"

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=(*FOLDER_STORES, "chroma-server"), required=True)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--dead-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report = KillReport()
    differences = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address_of, server = stack.enter_context(addresses(arguments.store, folder))
        start = time.perf_counter()
        if arguments.kills:
            report = kill_trials(
                address_of,
                folder,
                kills=arguments.kills,
                seed=arguments.seed,
                files=arguments.files,
                on_trial=lambda so_far: print(f"  {so_far}", file=sys.stderr, flush=True),
            )
        seconds = time.perf_counter() - start
        print(f"{arguments.store}: {report.kills} kills in {report.trials} trials, {seconds:.0f} s")
        for name, count in asdict(report).items():
            if name not in ("kills", "trials"):
                print(f"  {name:34} {count:5}")
        if arguments.faults:
            faults = Faults(address_of, folder, arguments.seed, arguments.files)
            faults.compare("5 % of calls fail", through_faults(share=0.05))
            faults.compare("slow calls, 50 ms", through_faults(delay_s=0.05))
            dead_s = (0.05, 0.05 + arguments.dead_s)
            faults.compare(f"dead for {arguments.dead_s:.0f} s", through_faults(dead_s=dead_s))
            if server is not None:
                faults.compare("server restarted", restarted(server, arguments.dead_s))
            faults.compare("two runs at once", two_at_once)
            differences = faults.differences
    if differences or not report.ok:
        raise SystemExit("a store differs from that of an undisturbed run")


if __name__ == "__main__":
    main()
