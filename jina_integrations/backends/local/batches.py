"""From token sequences to pooled vectors, batch by batch, on whatever engine runs the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ...embedding.call import Call
from ...types import FloatArray
from .engines.base import TokenEncoder
from .late_chunking import TokenSequence
from .turns import Turns

__all__ = ["SHORT_SHARE", "plan_batches", "pool"]

SHORT_SHARE: Final = 4
"""Work of up to one part in four of a batch is short: it goes before long work, see `Turns`."""


def pool(
    encoder: TokenEncoder,
    sequences: Sequence[TokenSequence],
    vectors: int,
    call: Call,
    *,
    turns: Turns,
    batch_tokens: int,
    adapter: str | None = None,
) -> FloatArray:
    """Weighted sums of token vectors: float32, shape (vectors, hidden width).

    Args:
        encoder: The model.
        sequences: What to encode and how to pool it.
        vectors: How many vectors their pooling plans fill.
        call: Is told of the tokens of each batch. A query is short work, whatever its length.
        turns: Runs the model, one batch of each caller in turn.
        batch_tokens: Tokens of one forward pass; a longer sequence has one of its own.
        adapter: LoRA adapter to activate.
    """
    lengths = [len(sequence.ids) for sequence in sequences]
    batches = plan_batches(lengths, max_tokens=batch_tokens, max_padding=encoder.max_padding)
    short = call.query or sum(lengths) * SHORT_SHARE <= batch_tokens
    sums = encoder.start(vectors)
    for batch in batches:
        add = partial(sums.add, [sequences[index] for index in batch], adapter=adapter)
        turns.run(add, short=short, concurrent=encoder.concurrent)
        call.advance(sum(lengths[index] for index in batch))
    return sums.result()


def plan_batches(
    lengths: Sequence[int], *, max_tokens: int, max_padding: float | None = None
) -> list[list[int]]:
    """Indices of sequences grouped into batches of at most ``max_tokens`` tokens, longest first.

    Args:
        lengths: Tokens of each sequence.
        max_tokens: Tokens of one batch, padding included; a longer sequence gets its own.
        max_padding: Share of a batch that may be padding when its sequences are padded to the
            longest; None where they are packed without any.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    tokens = longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        size = tokens + length if max_padding is None else longest * (len(batch) + 1)
        padded = 0.0 if max_padding is None or not size else 1.0 - (tokens + length) / size
        if batch and (size > max_tokens or padded > (max_padding or 0.0)):
            batches.append(batch)
            batch, tokens = [], 0
        if not batch:
            longest = length
        batch.append(index)
        tokens += length
    if batch:
        batches.append(batch)
    return batches
