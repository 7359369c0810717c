"""Late chunking through the API: the documents of one call as groups of pieces.

The service joins all inputs of a late-chunking request into one text, encodes it once, and gives
one vector per input. So a request holds consecutive pieces of one document that concatenate to its
text; `late_groups` cuts them and plans which go together where a document is longer than the
context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from ...embedding.call import Call
from ...errors import ApiError, InvalidInputError, InvalidSettingError, TextTooLongError
from ...models import ModelCard
from ...settings import EmbedderSettings
from ...tokenizers.base import Tokenizer
from ...types import CharSpan, FloatArray
from ..windows import window_and_overlap
from .dispatch import Batch, of_input
from .late_groups import cover, plan_groups
from .retrying import is_too_long

__all__ = ["LateDocuments", "reserved_tokens"]

_MARGIN_TOKENS: Final = 32
"""Kept free of the context, so that an answer that cost all of it is known to have been cut."""

_SHRINK: Final = 0.6
_MAX_PLANS: Final = 3
"""A group that the service finds too long is planned again in this share of the context, so often
that three fifths, then a third of it are tried."""


def reserved_tokens(window: int, tokenizer: Tokenizer) -> int:
    """Tokens of a window that are not for pieces: special tokens, the prefix, and a margin.

    Raises:
        InvalidSettingError: they fill the window.
    """
    reserved = tokenizer.overhead + _MARGIN_TOKENS
    if window <= reserved:
        raise InvalidSettingError(
            f"window_tokens is {window}, of which {reserved} are set aside for the prefix and "
            "special tokens: raise it, or leave it out"
        )
    return reserved


class LateDocuments:
    """The inputs and batches of a job, and where its vectors go.

    Attributes:
        inputs: Text of every piece of every document.
        tokens: Expected cost of each.
        vectors: One array for each document, shape (its spans, width); NaN until stored.
    """

    def __init__(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[CharSpan]],
        call: Call,
        *,
        card: ModelCard,
        settings: EmbedderSettings,
        tokenizer: Tokenizer,
        max_inputs: int,
        width: int,
    ) -> None:
        self.inputs: list[str] = []
        self.tokens: list[int] = []
        self.vectors: list[FloatArray] = [
            np.full((len(span_list), width), np.nan, np.float32) for span_list in spans
        ]
        self._call = call
        self._context, self._overlap = window_and_overlap(card, settings)
        self._limit = card.context_tokens
        self._overhead = reserved_tokens(self._context, tokenizer)
        self._max_inputs = max_inputs
        self._places: list[tuple[int, int | None]] = []
        self._bounds: dict[int, tuple[int, int]] = {}
        self._plans: dict[int, int] = {}
        self._again: set[int] = set()
        for document, (text, span_list) in enumerate(zip(texts, spans, strict=True)):
            if span_list:
                self._cut(document, text, span_list, tokenizer)

    def plan(self) -> list[Batch]:
        """A batch for each group of each document that fits; call it once."""
        return self._plan_all(self._bounds)

    def plan_again(self) -> list[Batch]:
        """Batches for the documents that the service found too long, in smaller groups."""
        again, self._again = self._again, set()
        return self._plan_all(sorted(again))

    def store(self, indices: Sequence[int], vectors: FloatArray) -> None:
        """Keep the vectors of pieces that are spans."""
        for index, vector in zip(indices, vectors, strict=True):
            document, span = self._places[index]
            if span is not None:
                self.vectors[document][span] = vector

    def accept(self, batch: Batch, tokens: int) -> bool:
        """Whether an answer of that cost can be whole: one that cost all the context was cut."""
        if tokens < self._limit:
            return True
        document, _ = self._places[batch.indices[0]]
        self._retry(document)
        return False

    def wants(self, batch: Batch) -> bool:
        """Whether the batch's document has not failed, and is not to be planned again."""
        document, _ = self._places[batch.indices[0]]
        return document not in self._again and not self._call.failed(document)

    def fail(self, index: int, error: ApiError, to_blame: bool) -> None:
        """The document of a piece has failed, unless smaller groups may help."""
        document, _ = self._places[index]
        if is_too_long(error):
            self._retry(document)
        elif not self._call.failed(document):
            self._call.fail(document, of_input(error, "texts") if to_blame else error)

    def _cut(
        self, document: int, text: str, spans: Sequence[CharSpan], tokenizer: Tokenizer
    ) -> None:
        try:
            pieces = cover(text, spans, position=document)
        except InvalidInputError as exc:
            self._call.fail(document, exc)
            return
        first = len(self.inputs)
        for piece in pieces:
            part = text[piece.start : piece.end]
            self.inputs.append(part)
            self.tokens.append(tokenizer.count(part))
            self._places.append((document, piece.span_index))
        self._bounds[document] = first, len(self.inputs)

    def _plan_all(self, documents: Iterable[int]) -> list[Batch]:
        batches: list[Batch] = []
        for document in documents:
            try:
                batches += self._plan(document)
            except InvalidInputError as exc:
                self._call.fail(document, exc)
        return batches

    def _plan(self, document: int) -> list[Batch]:
        first, last = self._bounds[document]
        share = _SHRINK ** self._plans.get(document, 0)
        context = max(1, int(self._context * share) - self._overhead)
        groups = plan_groups(
            self.tokens[first:last],
            context=context,
            overlap=min(self._overlap, context // 2),
            max_inputs=self._max_inputs,
            position=document,
            needed=[span is not None for _, span in self._places[first:last]],
        )
        return [
            Batch(
                list(range(first + group.first, first + group.last)),
                whole=True,
                wanted=frozenset(first + piece for piece in group.wanted),
            )
            for group in groups
        ]

    def _retry(self, document: int) -> None:
        """Plan the document again in smaller groups, or fail it."""
        if document in self._again:
            return
        self._plans[document] = self._plans.get(document, 0) + 1
        if self._plans[document] < _MAX_PLANS:
            self._again.add(document)
            return
        first, last = self._bounds[document]
        tokens = sum(self.tokens[first:last])
        error = TextTooLongError(
            f"has about {tokens} tokens, and the service refuses it as too long even in parts: set "
            "window_tokens to less, or name the model's tokenizer in ApiSettings",
            argument="texts",
            tokens=tokens,
            limit=self._limit,
        )
        self._call.fail(document, error)
