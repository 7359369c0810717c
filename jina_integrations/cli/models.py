"""The command ``models``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import JsonOption
from .outcome import say, say_json

if TYPE_CHECKING:
    from ..models import ModelCard

__all__ = ["models_command"]


def models_command(as_json: JsonOption = False) -> None:
    """List the models that are known by name."""
    from ..models import MODEL_CARDS

    cards = MODEL_CARDS.values()
    if as_json:
        say_json([_row(card) for card in cards])
        return
    from .output import rendered, rows_table

    headings = ("model", "dimensions", "context", "late chunking", "licence")
    rows = [
        (
            card.id,
            f"{card.min_dimensions}-{card.dimensions}" if card.min_dimensions else card.dimensions,
            str(card.context_tokens),
            _late_chunking(card),
            card.licence if card.commercial else f"{card.licence} (non-commercial)",
        )
        for card in cards
    ]
    say(rendered(rows_table(headings, rows, numbers=("dimensions", "context"))))


def _row(card: ModelCard) -> dict[str, object]:
    return {
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


def _late_chunking(card: ModelCard) -> str:
    if card.late_chunking is None:
        return "no"
    return "on" if card.late_chunking.enabled else "off"
