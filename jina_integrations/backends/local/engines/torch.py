"""A transformers model on torch: packed batches of token sequences, pooled on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ....errors import EmbeddingError
from ....types import FloatArray
from ..late_chunking import TokenSequence
from .attention import PackedLengths
from .torch_device import copy_to

__all__ = ["TorchEncoder"]

_MAX_PADDING = 0.02
"""Share of padded tokens in a batch of a model that cannot be packed."""


class TorchEncoder:
    """A `TokenEncoder` for a transformers model, or one that takes the same arguments.

    Args:
        model: The model, in evaluation mode, on its device.
        width: Length of its hidden states.
        packed: Whether its attention is `PACKED_ATTENTION`, so that sequences share one row.
        first_position: Position id of a sequence's first token.
        pad_id: Token id of padding, for a model that is not packed.
        concurrent: Whether a pass changes nothing in the model, so that two can run at a time.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        width: int,
        packed: bool,
        first_position: int,
        pad_id: int,
        concurrent: bool = False,
    ) -> None:
        self.width = width
        self.concurrent = concurrent
        self.device = next(model.parameters()).device
        self._model = model
        self._packed = packed
        self._first_position = first_position
        self._pad_id = pad_id
        self._adapter: str | None = None
        self._previous: torch.cuda.Event | None = None

    @property
    def max_padding(self) -> float | None:
        """None for a model that is packed."""
        return None if self._packed else _MAX_PADDING

    def start(self, vectors: int) -> _TorchSums:
        """Sums on the model's device, all zero."""
        return _TorchSums(self, vectors)

    def encode(self, ids: Sequence[np.ndarray], *, adapter: str | None) -> torch.Tensor:
        """Hidden states of all sequences, one after the other: shape (tokens, width)."""
        if adapter is not None and adapter != self._adapter:
            self._model.set_adapter(adapter)  # type: ignore[operator]  # from transformers
            self._adapter = adapter
        lengths = [len(sequence) for sequence in ids]
        if not self._packed:
            return self._encode_padded(ids, lengths)
        positions = np.concatenate([np.arange(length) for length in lengths])
        output = self._model(
            input_ids=self.tensor(np.concatenate(ids))[None],
            position_ids=self.tensor(positions + self._first_position)[None],
            packed=PackedLengths.of(lengths, self.device),
        )
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _encode_padded(self, ids: Sequence[np.ndarray], lengths: Sequence[int]) -> torch.Tensor:
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        padded = np.full(mask.shape, self._pad_id)
        padded[mask] = np.concatenate(ids)
        output = self._model(
            input_ids=self.tensor(padded), attention_mask=self.tensor(mask.astype(np.int64))
        )
        # By position: a mask on the device would make this thread wait to count what is in it.
        hidden: torch.Tensor = output.last_hidden_state.flatten(0, 1)
        return hidden[self.tensor(np.flatnonzero(mask))]

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """The values on the model's device, see `copy_to`."""
        return copy_to(self.device, values)

    def wait_for_previous(self) -> None:
        """On CUDA, which runs behind, wait for the forward pass before the one just begun.

        So the device has work while this thread prepares the next pass and queues its copies, and
        whoever takes the next turn waits for two passes at most.
        """
        if self.device.type != "cuda":
            return
        begun = torch.cuda.Event()  # type: ignore[no-untyped-call]  # of torch
        begun.record(torch.cuda.current_stream(self.device))
        if self._previous is not None:
            self._previous.synchronize()
        self._previous = begun


class _TorchSums:
    def __init__(self, encoder: TorchEncoder, vectors: int) -> None:
        self._encoder = encoder
        self._shape = vectors, encoder.width
        self._sums: torch.Tensor | None = None
        # Of the caller: a thread keeps the number of threads that it began with.
        self._threads = torch.get_num_threads()

    def add(self, batch: Sequence[TokenSequence], *, adapter: str | None) -> None:
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        try:
            self._add(batch, adapter)
        except torch.OutOfMemoryError as exc:
            tokens = sum(len(sequence.ids) for sequence in batch)
            raise EmbeddingError(
                f"{self._encoder.device} has no memory for a forward pass of {tokens} tokens: "
                "lower batch_tokens, or window_tokens for long documents"
            ) from exc
        except IndexError as exc:  # as torch tells of it on a CPU
            raise EmbeddingError(
                "a token id is beyond the model's table of vectors: its tokenizer has tokens that "
                "the weights do not"
            ) from exc
        self._encoder.wait_for_previous()

    def _add(self, batch: Sequence[TokenSequence], adapter: str | None) -> None:
        encoder = self._encoder
        with torch.inference_mode():
            hidden = encoder.encode([sequence.ids for sequence in batch], adapter=adapter)
            starts = np.cumsum([0, *(len(sequence.ids) for sequence in batch[:-1])])
            rows = np.concatenate([s.rows + start for s, start in zip(batch, starts, strict=True)])
            weights = encoder.tensor(np.concatenate([s.weights for s in batch]))
            weighted = hidden[encoder.tensor(rows)].to(torch.float32).mul_(weights[:, None])
            vectors = encoder.tensor(np.concatenate([s.vectors for s in batch]))
            if self._sums is None:  # here, because torch works only in the encoder's thread
                self._sums = torch.zeros(self._shape, dtype=torch.float32, device=encoder.device)
            self._sums.index_add_(0, vectors, weighted)

    def result(self) -> FloatArray:
        if self._sums is None:
            return np.zeros(self._shape, np.float32)
        return self._sums.cpu().numpy()
