"""The one path from token sequences to pooled vectors."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch

from ...types import FloatArray
from .attention import PackedLengths
from .plan import TokenSequence, plan_batches

__all__ = ["Encoder"]

_MAX_PADDING = 0.02
"""Share of padded tokens in a batch of a model that cannot be packed."""


class Encoder:
    """A transformers model that encodes batches of token sequences and pools their tokens.

    Args:
        model: The model, in evaluation mode, on its device.
        width: Length of its hidden states.
        packed: Whether its attention is `PACKED_ATTENTION`, so that sequences share one row.
        first_position: Position id of a sequence's first token.
        pad_id: Token id of padding, for a model that is not packed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        width: int,
        packed: bool,
        first_position: int,
        pad_id: int,
    ) -> None:
        self._model = model
        self._width = width
        self._packed = packed
        self._first_position = first_position
        self._pad_id = pad_id
        self._device = next(model.parameters()).device
        self._lock = threading.Lock()

    def pool(
        self,
        sequences: Sequence[TokenSequence],
        vectors: int,
        *,
        batch_tokens: int,
        adapter: str | None = None,
    ) -> FloatArray:
        """Weighted sums of token vectors: float32, shape (vectors, hidden width).

        Args:
            sequences: What to encode and how to pool it.
            vectors: How many vectors their pooling plans fill.
            batch_tokens: Tokens of one forward pass.
            adapter: LoRA adapter to activate.
        """
        batches = plan_batches(
            [len(sequence.ids) for sequence in sequences],
            max_tokens=batch_tokens,
            max_padding=None if self._packed else _MAX_PADDING,
        )
        pooled = torch.zeros(vectors, self._width, dtype=torch.float32, device=self._device)
        with self._lock, torch.inference_mode():
            if adapter is not None:
                self._model.set_adapter(adapter)  # type: ignore[operator]  # from transformers
            for batch in batches:
                self._pool_batch([sequences[index] for index in batch], pooled)
        return pooled.cpu().numpy()

    def _pool_batch(self, sequences: Sequence[TokenSequence], pooled: torch.Tensor) -> None:
        hidden = self._encode([sequence.ids for sequence in sequences])
        starts = np.cumsum([0, *(len(sequence.ids) for sequence in sequences[:-1])])
        rows = np.concatenate([s.rows + at for s, at in zip(sequences, starts, strict=True)])
        weights = self._tensor(np.concatenate([s.weights for s in sequences]))
        weighted = hidden[self._tensor(rows)].to(torch.float32).mul_(weights[:, None])
        pooled.index_add_(0, self._tensor(np.concatenate([s.vectors for s in sequences])), weighted)

    def _encode(self, ids: Sequence[np.ndarray]) -> torch.Tensor:
        """Hidden states of all sequences, one after the other: shape (tokens, width)."""
        lengths = [len(own) for own in ids]
        if not self._packed:
            return self._encode_padded(ids, lengths)
        positions = np.concatenate([np.arange(length) for length in lengths])
        output = self._model(
            input_ids=self._tensor(np.concatenate(ids))[None],
            position_ids=self._tensor(positions + self._first_position)[None],
            packed=PackedLengths.of(lengths, self._device),
        )
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _encode_padded(self, ids: Sequence[np.ndarray], lengths: Sequence[int]) -> torch.Tensor:
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        padded = np.full(mask.shape, self._pad_id)
        padded[mask] = np.concatenate(ids)
        attention_mask = self._tensor(mask)
        output = self._model(
            input_ids=self._tensor(padded), attention_mask=attention_mask.to(torch.int64)
        )
        hidden: torch.Tensor = output.last_hidden_state[attention_mask]
        return hidden

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)
