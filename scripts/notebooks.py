"""Runs the notebooks of examples/, and keeps what is stored of them small and clean."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
MAX_BYTES = 300_000
CELL_TIMEOUT_S = 300
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Of the machine: keys and addresses by which a notebook would leave it or act otherwise.
UNSET = (
    "JINA_API_KEY",
    "JINAAI_API_KEY",
    "CHROMA_JINA_API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "LLM_MODEL",
)
UNWANTED = {
    "a machine's path": re.compile(
        r"(?<![\w/.])/(?:home|root|tmp|Users|private|var/folders)/|\b[A-Z]:\\|"
        + "|".join(re.escape(f"{folder}{os.sep}") for folder in (ROOT, sys.prefix))
    ),
    "an address in memory": re.compile(r"\b0x[0-9a-f]{8,}\b"),
    "a progress bar": re.compile(r"\r(?!\n)|\d+%\|"),
}


class NotebookError(Exception):
    """A notebook failed, or what it would store is not fit for the repository."""


def main(arguments: list[str] | None = None) -> int:
    """0 where all is well, 1 where a notebook failed or is not fit to be stored."""
    parser = argparse.ArgumentParser(prog="scripts/notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .ipynb; default: all")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="look at what is stored, run nothing")
    mode.add_argument("--write", action="store_true", help="run, and store the outputs")
    options = parser.parse_args(arguments)

    available = {path.stem: path for path in sorted(EXAMPLES.glob("*.ipynb"))}
    names = options.names or list(available)
    if unknown := [name for name in names if name not in available]:
        parser.error(f"no notebook {', '.join(unknown)}; there are {', '.join(available)}")

    failed: list[str] = []
    for name in names:
        print(f"== {name}", flush=True)
        try:
            if not options.write:
                check(available[name].read_text(encoding="utf-8"))
            if not options.check:
                start = time.perf_counter()
                text = run(available[name])
                print(f"ran in {time.perf_counter() - start:.0f} s", flush=True)
                if options.write:
                    check(text)
                    available[name].write_text(text, encoding="utf-8")
        except NotebookError as error:
            print(f"{name}.ipynb: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run(path: Path) -> str:
    """The notebook with its outputs, executed in a copy of the examples; the file stays as it is.

    Raises:
        NotebookError: a cell failed; it is named by its number, from 1, among all cells.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "examples"
        shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        # No folder of kernels: the kernel is this interpreter, whatever else is registered.
        manager = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=str(Path(temporary) / "kernel.json"),
            transport="ipc",
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=CELL_TIMEOUT_S,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        with client.setup_kernel(cleanup_kc=True, env=_environment(temporary)):
            for number, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, number)
                except (CellControlSignal, DeadKernelError) as error:
                    raise NotebookError(f"cell {number + 1} failed\n{error}") from error
    return nbformat.writes(_normalised(notebook)) + "\n"


def _environment(temporary: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in UNSET}
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "ANONYMIZED_TELEMETRY": "False",
        "IPYTHONDIR": temporary,
    }


def _normalised(notebook: NotebookNode) -> NotebookNode:
    """Without what differs between two runs or two editors."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number + 1}"
        cell.metadata = NotebookNode()
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = NotebookNode()
    return notebook


def check(text: str) -> None:
    """Refuse a stored notebook that was not run, or holds what does not belong in a repository.

    Raises:
        NotebookError: all that was found.
    """
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    problems = list(_problems(notebook))
    if len(text.encode()) > MAX_BYTES:
        problems.append(f"{len(text.encode()):,} bytes, more than {MAX_BYTES:,}")
    if problems:
        raise NotebookError("\n  ".join(["not fit to be stored", *problems]))


def _problems(notebook: NotebookNode) -> Iterator[str]:
    if notebook.metadata != METADATA:
        yield "metadata of an editor: run scripts/notebooks --write"
    outputs, runs = 0, 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        runs += 1
        if cell.execution_count != runs:
            yield f"cell {number} was not run in order: run scripts/notebooks --write"
        outputs += len(cell.outputs)
        for output in cell.outputs:
            yield from (f"cell {number} holds {problem}" for problem in _output_problems(output))
    if not outputs:
        yield "there are no outputs: run scripts/notebooks --write"


def _output_problems(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"an error: {output.ename}: {output.evalue}"
        return
    if output.output_type == "stream" and output.name == "stderr":
        yield f"output on stderr: {output.text.strip()[:200]}"
    texts = [output.text] if output.output_type == "stream" else _texts(output.data)
    for text in texts:
        for what, pattern in UNWANTED.items():
            if match := pattern.search(text):
                yield f"{what}: {text[max(0, match.start() - 40) : match.end() + 40]!r}"


def _texts(data: NotebookNode) -> list[str]:
    return [
        value for kind, value in data.items() if kind.startswith("text/") or kind.endswith("+xml")
    ]


if __name__ == "__main__":
    sys.exit(main())
