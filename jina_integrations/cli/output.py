"""What the commands print: for people, and as JSON for programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from rich.console import Console
from rich.table import Table

from ..cards import ModelCard
from ..ingestion import IngestReport
from ..stores import CollectionInfo, StoreCounts
from ..types import Hit
from .outcome import note, one_line

__all__ = [
    "card_rows",
    "hit_rows",
    "info_lines",
    "info_row",
    "models_table",
    "note_trouble",
    "search_lines",
    "summary",
]

_MOST_SKIPPED_LISTED = 5
_SNIPPET_LINES = 3


def note_trouble(report: IngestReport) -> None:
    """List on stderr what failed, and what was skipped."""
    for failure in report.failures:
        note(f"failed: {failure.document_id}: {failure.error}")
    skipped = report.skipped
    for file in skipped[:_MOST_SKIPPED_LISTED]:
        note(f"skipped: {file.path}: {file.reason}")
    if len(skipped) > _MOST_SKIPPED_LISTED:
        note(f"skipped: {len(skipped) - _MOST_SKIPPED_LISTED:,} more")


def summary(report: IngestReport) -> str:
    """The run in one line."""
    parts = [
        f"{report.documents_embedded:,} documents embedded "
        f"({report.chunks_written:,} chunks, {report.tokens:,} tokens)",
        f"{report.documents_unchanged:,} unchanged",
        f"{len(report.failures):,} failed",
        f"{len(report.skipped):,} skipped",
    ]
    if report.chunks_dropped:
        parts.append(f"{report.chunks_dropped:,} old chunks dropped")
    rate = report.tokens / report.seconds if report.seconds else 0.0
    return f"{', '.join(parts)}; {report.seconds:.1f} s, {rate:,.0f} tokens/s"


def hit_rows(hits: Iterable[Hit]) -> list[dict[str, object]]:
    """Hits as JSON values, best first."""
    return [
        {
            "rank": rank,
            "score": hit.score,
            "document_id": hit.chunk.document_id,
            "index": hit.chunk.index,
            "start": hit.chunk.start,
            "end": hit.chunk.end,
            "text": hit.chunk.text,
            "metadata": dict(hit.chunk.metadata),
        }
        for rank, hit in enumerate(hits, start=1)
    ]


def search_lines(hits: Sequence[Hit]) -> str:
    """Rank, score, document and character range of each hit, and the beginning of its text."""
    if not hits:
        return "no hits"
    width = _SNIPPET_LINES * (shutil.get_terminal_size().columns - 4)
    lines: list[str] = []
    for rank, hit in enumerate(hits, start=1):
        chunk, text = hit.chunk, one_line(hit.chunk.text)
        shown = text if len(text) <= width else f"{text[: width - 1].rstrip()}…"
        where = f"{one_line(chunk.document_id)} {chunk.start}-{chunk.end}"
        lines += [f"{rank}. {hit.score:.3f}  {where}", f"    {shown}"]
    return "\n".join(lines)


def card_rows(cards: Iterable[ModelCard]) -> list[dict[str, object]]:
    """What `models` tells of each model, as JSON values."""
    return [
        {
            "id": card.id,
            "repository": card.repository,
            "dimensions": card.dimensions,
            "min_dimensions": card.min_dimensions,
            "context_tokens": card.context_tokens,
            "max_tokens": card.max_tokens,
            "tasks": list(card.tasks),
            "pooling": card.pooling,
            "late_chunking": _late_chunking(card),
            "licence": card.licence,
            "commercial": card.commercial,
            "modalities": list(card.modalities),
        }
        for card in cards
    ]


def _late_chunking(card: ModelCard) -> str:
    if card.late_chunking is None:
        return "no"
    return "on" if card.late_chunking.enabled else "off"


def models_table(cards: Iterable[ModelCard]) -> str:
    """One row for each model."""
    table = Table("model", box=None, pad_edge=False)
    for name in ("dimensions", "context"):
        table.add_column(name, justify="right")
    table.add_column("late chunking")
    table.add_column("licence")
    for card in cards:
        shortest = f"{card.min_dimensions}-" if card.min_dimensions else ""
        table.add_row(
            card.id,
            f"{shortest}{card.dimensions}",
            f"{card.context_tokens}",
            _late_chunking(card),
            card.licence if card.commercial else f"{card.licence} (non-commercial)",
        )
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def info_row(location: str, info: CollectionInfo, counts: StoreCounts) -> dict[str, object]:
    """What a collection holds and how it was embedded, as JSON values."""
    return {
        "collection": location,
        "documents": counts.documents,
        "chunks": counts.chunks,
        "dimensions": info.dimensions,
        "fingerprint": info.fingerprint,
        "embedder": dict(info.embedder),
    }


def info_lines(row: Mapping[str, object]) -> str:
    """An `info_row` for people; a setting that is not shown has the default of the model."""
    settings = cast("Mapping[str, object]", row["embedder"])
    flat = {**{name: value for name, value in row.items() if name != "embedder"}, **settings}
    flat["dimensions"] = row["dimensions"]
    shown = {name: value for name, value in flat.items() if value is not None}
    width = max(map(len, shown))
    return "\n".join(f"{name:<{width}}  {one_line(str(value))}" for name, value in shown.items())
