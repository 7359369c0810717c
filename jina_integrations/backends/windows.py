"""Windows of documents that are longer than the context."""

from __future__ import annotations

from ..errors import InvalidSettingError
from ..models import ModelCard
from ..settings import EmbedderSettings

__all__ = ["window_and_overlap"]


def window_and_overlap(card: ModelCard, settings: EmbedderSettings) -> tuple[int, int]:
    """Tokens of a window, special tokens included, and tokens that neighbouring windows share.

    Raises:
        InvalidSettingError: the window is over the context, or the overlap not under the window.
    """
    window = settings.window_tokens or card.context_tokens
    if window > card.context_tokens:
        raise InvalidSettingError(
            f"window_tokens is {window}, but the context of {card.id} is {card.context_tokens}"
        )
    overlap = settings.overlap_tokens
    if overlap is None:
        default = card.late_chunking.overlap_tokens if card.late_chunking else 0
        overlap = min(default, window // 2)
    if overlap >= window:
        raise InvalidSettingError(
            f"overlap_tokens is {overlap}: it must be less than window_tokens, {window}"
        )
    return window, overlap
