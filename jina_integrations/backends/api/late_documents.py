"""Late chunking through the API: the documents of one call as groups of pieces.

The service joins all inputs of a late-chunking request into one text, encodes it once, and gives
one vector per input. So a request holds consecutive pieces of one document that concatenate to its
text; `late` cuts them and plans which go together where a document is longer than the context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from ...calls import Call
from ...cards import ModelCard
from ...errors import (
    ApiError,
    InvalidInputError,
    InvalidSettingError,
    TextTooLongError,
)
from ...settings import EmbedderSettings
from ...tokenizer import Tokenizer
from ...types import CharSpan, FloatArray
from ...windows import window_and_overlap
from .dispatch import Batch, of_input
from .late import cover, plan_groups
from .retrying import is_too_long

__all__ = ["LateDocuments"]

_MARGIN_TOKENS: Final = 32
"""Kept free of the context, so that an answer that cost all of it is known to have been cut."""

_SHRINK: Final = 0.6
_MOST_PLANS: Final = 3
"""A group that the service finds too long is planned again in this share of the context, so often
that three fifths, then a third of it are tried."""


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
        most_inputs: int,
        width: int,
    ) -> None:
        self.inputs: list[str] = []
        self.tokens: list[int] = []
        self.vectors: list[FloatArray] = [
            np.full((len(own), width), np.nan, np.float32) for own in spans
        ]
        self._call = call
        self._context, self._overlap = window_and_overlap(card, settings)
        self._limit = card.context_tokens
        self._overhead = tokenizer.overhead + _MARGIN_TOKENS
        if self._context <= self._overhead:
            raise InvalidSettingError(
                f"window_tokens is {self._context}, of which {self._overhead} are set aside for "
                "the prefix and special tokens: raise it, or leave it out"
            )
        self._most_inputs = most_inputs
        self._places: list[tuple[int, int | None]] = []
        self._bounds: dict[int, tuple[int, int]] = {}
        self._plans: dict[int, int] = {}
        self._again: set[int] = set()
        for document, (text, own) in enumerate(zip(texts, spans, strict=True)):
            if own:
                self._cut(document, text, own, tokenizer)

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
            position = self._call.position(document)
            self._call.fail(position, of_input(error, "texts", position) if to_blame else error)

    def _cut(
        self, document: int, text: str, spans: Sequence[CharSpan], tokenizer: Tokenizer
    ) -> None:
        position = self._call.position(document)
        try:
            pieces = cover(text, spans, position=position)
        except InvalidInputError as exc:
            self._call.fail(position, exc)
            return
        first = len(self.inputs)
        for piece in pieces:
            own = text[piece.start : piece.end]
            self.inputs.append(own)
            self.tokens.append(tokenizer.count(own))
            self._places.append((document, piece.span_index))
        self._bounds[document] = first, len(self.inputs)

    def _plan_all(self, documents: Iterable[int]) -> list[Batch]:
        batches: list[Batch] = []
        for document in documents:
            try:
                batches += self._plan(document)
            except InvalidInputError as exc:
                self._call.fail(self._call.position(document), exc)
        return batches

    def _plan(self, document: int) -> list[Batch]:
        first, last = self._bounds[document]
        share = _SHRINK ** self._plans.get(document, 0)
        context = max(1, int(self._context * share) - self._overhead)
        groups = plan_groups(
            self.tokens[first:last],
            context=context,
            overlap=min(self._overlap, context // 2),
            most_inputs=self._most_inputs,
            position=self._call.position(document),
            needed=[span is not None for _, span in self._places[first:last]],
        )
        return [
            Batch(
                list(range(first + group.first, first + group.last)),
                whole=True,
                wanted=frozenset(first + at for at in group.wanted),
            )
            for group in groups
        ]

    def _retry(self, document: int) -> None:
        """Plan the document again in smaller groups, or fail it."""
        if document in self._again:
            return
        self._plans[document] = self._plans.get(document, 0) + 1
        if self._plans[document] < _MOST_PLANS:
            self._again.add(document)
            return
        first, last = self._bounds[document]
        tokens = sum(self.tokens[first:last])
        position = self._call.position(document)
        error = TextTooLongError(
            f"the service refuses texts[{position}] (about {tokens} tokens) as too long even in "
            "parts: set window_tokens to less, or name the model's tokenizer in ApiSettings",
            tokens=tokens,
            limit=self._limit,
            index=position,
        )
        self._call.fail(position, error)
