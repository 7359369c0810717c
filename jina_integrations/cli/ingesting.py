"""The command ``ingest``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import InvalidInputError, JinaIntegrationsError
from .addresses import ADDRESS_HELP
from .options import (
    CHUNKER_HELP,
    HeadingContextOption,
    RootOption,
    embedder_options,
    make_embedder,
)
from .outcome import SOME_FAILED, counted, note, reported, say, say_json
from .output_file import output_file

if TYPE_CHECKING:
    from ..chunkers import Chunker
    from ..embedding.embedder import Embedder
    from ..ingestion.report import IngestReport
    from ..readers.results import SkippedFile

__all__ = ["ingest_command"]

_STOPPED: Final = "stopped; finished documents are stored, and the same command does the rest"
_LISTED: Final = 5
"""Skipped files and removed documents that are named; `--report` has all."""


@embedder_options()
def ingest_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files and folders.")],
    into: Annotated[str, typer.Option(metavar="ADDRESS", help=ADDRESS_HELP)],
    settings: Mapping[str, object],
    chunker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:TOKENS",
            help=CHUNKER_HELP,
            show_default="the collection's; sentence:256 for a new one",
        ),
    ] = None,
    heading_context: HeadingContextOption = None,
    root: RootOption = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove stored documents that are no longer in PATH."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what would be done.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and ingest again whenever a file changes.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(help="Processes that embed, each with a model of its own; 0 uses a thread."),
    ] = 0,
    max_failures: Annotated[
        int | None,
        typer.Option(help="Stop when more documents than this fail.", show_default=False),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write what was done as JSON, also when the run fails.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Embed files into a collection.

    Unchanged files cost nothing. Stop it at any time and run it again: it does what is left.

    Exit codes: 0 all well, 1 some documents failed, 2 wrong usage or refused, 130 stopped by
    Ctrl-C, 143 by SIGTERM.
    """
    with reported(stopped=_STOPPED), output_file(report) as write_report:
        from ..chunkers.registry import parse_chunker

        if watch and dry_run:
            raise InvalidInputError("--watch and --dry-run do not go together: leave one out")
        ingestion = _Ingestion(
            paths=paths,
            address=into,
            embedder=make_embedder(settings),
            chunker=None if chunker is None else parse_chunker(chunker),
            heading_context=heading_context,
            root=root,
            prune=prune,
            dry_run=dry_run,
            workers=workers,
            max_failures=max_failures,
            write_report=write_report,
            print_report=_json_printer(compact=watch) if as_json else _print,
        )
        if watch:
            from .watching import repeat_on_change

            ignored = [Path(os.path.expanduser(report))] if report else []  # noqa: PTH111
            repeat_on_change(paths, ingestion.run, ignored=[*ignored, *_store_folders(into)])
        failed = ingestion.run()
    if failed:
        sys.exit(SOME_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ingestion:
    """What the command was asked for; can be run any number of times.

    Between two runs the store is closed, so that others can use it, and the model stays loaded.
    """

    paths: Sequence[str]
    address: str
    embedder: Embedder
    chunker: Chunker | None
    heading_context: bool | None
    root: str | None
    prune: bool
    dry_run: bool
    workers: int
    max_failures: int | None
    write_report: Callable[[str], None] | None
    print_report: Callable[[IngestReport], None]

    def run(self) -> bool:
        """Ingest the paths and print what was done; whether documents failed."""
        from ..collection import Collection
        from ..readers import read_documents
        from .progress import ingest_progress

        collection = Collection(
            self.address,
            embedder=self.embedder,
            chunker=self.chunker,
            heading_context=self.heading_context,
        )
        documents = read_documents(self.paths, root=self.root)
        try:
            with collection, ingest_progress(self.paths) as on_progress:
                report = collection.ingest(
                    documents,
                    prune=self.prune,
                    dry_run=self.dry_run,
                    workers=self.workers,
                    max_failures=self.max_failures,
                    on_progress=on_progress,
                )
        except JinaIntegrationsError as exc:
            if exc.report is not None:
                _note_details(exc.report)
                error = {"error": type(exc).__name__, "message": str(exc)}
                self._write({**exc.report.to_dict(), "stopped_by": error})
            raise
        _note_details(report)
        if not (report.documents_embedded or report.documents_unchanged or report.failures):
            note("warning: no documents were found in the given paths")
        self._write(report.to_dict())
        self.print_report(report)
        return bool(report.failures)

    def _write(self, report: Mapping[str, object]) -> None:
        if self.write_report is not None:
            import json

            self.write_report(f"{json.dumps(report, ensure_ascii=False, indent=2)}\n")


def _store_folders(address: str) -> Iterator[Path]:
    """The folder of a store on this machine: what it writes there is no change of a source."""
    from ..errors import InvalidSettingError
    from ..stores.addresses import FolderAddress

    try:
        yield FolderAddress.parse(address).folder
    except InvalidSettingError:  # a server's
        return


def _json_printer(*, compact: bool) -> Callable[[IngestReport], None]:
    return lambda report: say_json(report.to_dict(), compact=compact)


def _print(report: IngestReport) -> None:
    say(_summary(report))


def _note_details(report: IngestReport) -> None:
    """List on stderr what failed, what was skipped, what was removed."""
    for failure in report.failures:
        note(f"failed: {failure.document_id}: {failure.error}")
    _note_skipped(report.skipped)
    removed = report.documents_removed
    verb = "would remove" if report.dry_run else "removed"
    for name in removed if report.dry_run else removed[:_LISTED]:
        note(f"{verb}: {name}")
    if not report.dry_run and len(removed) > _LISTED:
        note(f"removed: {len(removed) - _LISTED:,} more")
    if report.contexts_shortened:
        note(
            f"shortened: the headings above {report.contexts_shortened:,} chunks did not fit the "
            "model beside the chunk, and the outermost were left out"
        )


def _note_skipped(skipped: Sequence[SkippedFile]) -> None:
    for file in skipped[:_LISTED]:
        note(f"skipped: {file.path}: {file.reason}")
    reasons = Counter(file.reason for file in skipped[_LISTED:])
    if reasons:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
        note(f"skipped: {reasons.total():,} more: {listed}")


def _summary(report: IngestReport) -> str:
    """The run in one line."""
    if report.dry_run:
        return (
            f"dry run: {counted(report.documents_embedded, 'document')} to embed, "
            f"{report.documents_unchanged:,} unchanged, "
            f"{len(report.documents_removed):,} to remove, {len(report.failures):,} failed, "
            f"{len(report.skipped):,} skipped; nothing was written"
        )
    parts = [
        f"{counted(report.documents_embedded, 'document')} embedded "
        f"({counted(report.chunks_written, 'chunk')}, {counted(report.tokens, 'token')})",
        f"{report.documents_unchanged:,} unchanged",
        f"{len(report.failures):,} failed",
        f"{len(report.skipped):,} skipped",
    ]
    if report.documents_removed:
        parts.append(f"{len(report.documents_removed):,} removed")
    if report.chunks_dropped:
        parts.append(f"{counted(report.chunks_dropped, 'old chunk')} deleted")
    rate = report.tokens / report.seconds if report.seconds else 0.0
    return f"{', '.join(parts)}; {report.seconds:.1f} s, {rate:,.0f} tokens/s"
