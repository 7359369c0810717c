"""CPU time of commands that start cold: the imports, the model, one answer.

    python benchmarks/startup.py [--rounds 5] [--stores qdrant-edge qdrant chroma]

Each command is a process of its own, over a collection of 30 short documents. Files are in the
page cache and the model's graph is in ours, as on any day but the first. User and system time of
the process and its threads: smallest, median and largest of the rounds.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STORES = ("qdrant-edge", "qdrant", "chroma")


def cpu_seconds(*arguments: str) -> float:
    """User and system time of one command.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "jina_integrations.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        notes = Path(name) / "notes"
        notes.mkdir()
        for number in range(30):
            text = f"# Note {number}\n\nBread {number} is baked at noon.\n"
            (notes / f"{number}.md").write_text(text, encoding="utf-8")
        addresses = {store: f"{store}:{Path(name) / store}#notes" for store in arguments.stores}
        for address in addresses.values():
            cpu_seconds("ingest", str(notes), "--into", address, "--embedder", "minilm")
        commands = {
            "--help": ["--help"],
            "--version": ["--version"],
            "chunks": ["chunks", str(notes / "1.md"), "--embedder", "minilm"],
        }
        for store, address in addresses.items():
            commands[f"info, {store}"] = ["info", address]
            commands[f"search, {store}"] = ["search", "When is bread baked?", "--from", address]
        for label, command in commands.items():
            times = [cpu_seconds(*command) for _ in range(arguments.rounds)]
            low, middle, high = min(times), statistics.median(times), max(times)
            print(f"{label:20} {low:.2f} {middle:.2f} {high:.2f} s", flush=True)


if __name__ == "__main__":
    main()
