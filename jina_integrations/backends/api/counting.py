"""What texts will cost at the service: counted or estimated, and corrected by real costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Self

from ...models import MODEL_CARDS
from ...tokenizers.base import Tokenizer
from ...tokenizers.estimate import EstimatingTokenizer
from ...tokenizers.exact import exact_tokenizer
from ...tokenizers.words import WordTokenizer

__all__ = ["TokenCounter"]

_MIN_FACTOR: Final = 0.2
_MAX_FACTOR: Final = 4.0
_MARGIN: Final = 1.03
_PRIOR_TOKENS: Final = 1_000
_REMEMBERED_TOKENS: Final = 200_000

_ASCII_CHARACTERS_PER_TOKEN: Final = 2.5
"""English prose has 4 to 5, code 3; tables of numbers and encoded data have 1.5 to 2."""


class TokenCounter:
    """Expected cost of texts, special tokens and prefix included, which learns from real costs.

    For one thread only.

    Args:
        tokenizer: The model's, or an estimate.
        exact: Whether it is the model's; there is nothing to learn then.
    """

    def __init__(self, tokenizer: Tokenizer, *, exact: bool) -> None:
        self.tokenizer = tokenizer
        self._exact = exact
        self._estimated = self._actual = float(_PRIOR_TOKENS)

    @classmethod
    def for_model(cls, model: str, tokenizer: str | None) -> Self:
        """A counter for a model of the service.

        Args:
            model: Its name; nothing needs to be known of it.
            tokenizer: Where its tokenizer is, see `exact_tokenizer`; None estimates.
        """
        if model == "echo":
            return cls(WordTokenizer(), exact=True)
        card = MODEL_CARDS.get(model)
        prefix = None if card is None else card.scheme("passage").prefix
        if tokenizer is not None:
            return cls(exact_tokenizer(tokenizer, prefix=prefix or ""), exact=True)
        family = None if card is None else card.tokenizer_family
        return cls(EstimatingTokenizer(family, prefix), exact=False)

    @property
    def factor(self) -> float:
        """What estimates are multiplied by: 1 at first and where counts are exact; 0.2 to 4."""
        return min(max(self._actual / self._estimated, _MIN_FACTOR), _MAX_FACTOR)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as an input of its own, at least 1; `factor` is not in them."""
        overhead = self.tokenizer.overhead
        count = self.tokenizer.count if self._exact else self._estimate
        return [max(1, math.ceil(count(text)) + overhead) for text in texts]

    def _estimate(self, text: str) -> float:
        # Most texts are ASCII, of which the length tells enough: what is learned does the rest.
        if text.isascii():
            return len(text) / _ASCII_CHARACTERS_PER_TOKEN
        return self.tokenizer.count(text)

    def learn(self, estimated: int, actual: int) -> None:
        """Take in what a request has really cost.

        Args:
            estimated: Sum of what `count` gave for its texts.
            actual: Tokens that the service counted.
        """
        if self._exact or estimated <= 0 or actual <= 0:
            return
        self._estimated += estimated
        self._actual += _MARGIN * actual
        excess = self._estimated / _REMEMBERED_TOKENS
        if excess > 1.0:
            self._estimated /= excess
            self._actual /= excess
