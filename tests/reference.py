"""Independent reference implementations, plain and slow, on transformers alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast


class PlainText(ABC):
    """From the token vectors of one sequence at a time to those of texts and chunks."""

    tokenizer: PreTrainedTokenizerFast
    width: int

    @abstractmethod
    def hidden(self, ids: Sequence[int]) -> np.ndarray:
        """Token vectors of one sequence."""

    def embed(self, text: str, *, prefix: str = "", pooling: str = "mean") -> np.ndarray:
        """One normalised vector of one text."""
        hidden = self.hidden(self.tokenizer(prefix + text)["input_ids"])
        pooled = {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        return pooled / np.linalg.norm(pooled)

    def embed_chunks(
        self,
        text: str,
        spans: Sequence[tuple[int, int]],
        *,
        prefix: str = "",
        window: int,
        overlap: int,
    ) -> np.ndarray:
        """Late chunking: full forward (or windows, averaged), offsets, mean."""
        encoded = self.tokenizer(prefix + text, return_offsets_mapping=True)
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        special = [start == end for start, end in offsets]
        total = np.zeros((len(ids), self.width))
        seen = np.zeros(len(ids))
        start = 0
        while True:
            end = min(start + window, len(ids))
            total[start:end] += self.hidden(ids[start:end])
            seen[start:end] += 1
            if end == len(ids):
                break
            start += window - overlap
        hidden = total / seen[:, None]
        own = [at for at, (_, end) in enumerate(offsets) if not special[at] and end > len(prefix)]
        vectors = []
        for a, b in spans:
            low, high = a + len(prefix), b + len(prefix)
            rows = [at for at in own if offsets[at][0] < high and offsets[at][1] > low]
            if own[0] in rows:
                rows = [*range(own[0]), *rows]
            if own[-1] in rows:
                rows = [*rows, *range(own[-1] + 1, len(ids))]
            vector = hidden[rows].mean(axis=0)
            vectors.append(vector / np.linalg.norm(vector))
        return np.array(vectors)


class PlainModel(PlainText):
    """A transformers model run one text at a time with its own attention and no packing."""

    def __init__(self, folder: Path, adapter: str | None = None) -> None:
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        if adapter is not None:
            self.model.load_adapter(
                str(folder), adapter_name=adapter, adapter_kwargs={"subfolder": adapter}
            )
            self.model.set_adapter(adapter)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.width = self.model.config.hidden_size

    @torch.inference_mode()
    def hidden(self, ids: Sequence[int]) -> np.ndarray:
        """Token vectors of one sequence."""
        output = self.model(input_ids=torch.tensor([list(ids)]))
        return output.last_hidden_state[0].double().numpy()
