"""Windows of documents that are longer than the context."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidSettingError
from ..models import ModelCard
from ..settings import EmbedderSettings

__all__ = ["window_and_overlap"]

_MIXED_SHARE: Final = 8
"""One part in eight of a window is shared where each vector is a mix with the chunk's own, which
has no window. With `minilm` that found as much as half a window did, and for late chunking alone
far less: docs/costs.md has the figures."""


def window_and_overlap(card: ModelCard, settings: EmbedderSettings) -> tuple[int, int]:
    """Tokens of a window, special tokens included, and tokens that neighbouring windows share.

    By default those are the model's context, and what its card says, but half a window at most, or
    an eighth where the vectors are a mix.

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
        overlap = _default_overlap(card, settings, window)
    if overlap >= window:
        raise InvalidSettingError(
            f"overlap_tokens is {overlap}: it must be less than window_tokens, {window}"
        )
    return window, overlap


def _default_overlap(card: ModelCard, settings: EmbedderSettings, window: int) -> int:
    defaults = card.late_chunking
    if defaults is None:
        return 0
    weight = defaults.context_weight if settings.context_weight is None else settings.context_weight
    return min(defaults.overlap_tokens, window // (2 if weight == 1.0 else _MIXED_SHARE))
