"""Real text that any machine with Python has, cut into passages of a wanted length in tokens."""

from __future__ import annotations

import inspect
import re
import sysconfig
from itertools import chain
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from jina_integrations.tokenizers.base import Tokenizer


def technical_text() -> str:
    """Source code of the standard library, and the raw language reference with its tables."""
    folder = Path(sysconfig.get_path("stdlib"))
    code = [
        path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.py"))
        if not path.name.startswith("_")
    ]
    return "\n\n".join(chain.from_iterable(zip(code, topics.values(), strict=False)))


def prose_text(path: Path | None = None) -> str:
    """The given text file, or the running paragraphs of Python's language reference."""
    if path is not None:
        return path.read_text(encoding="utf-8")
    reference = "\n\n".join(inspect.cleandoc(text) for text in topics.values())
    paragraphs = re.split(r"\n\s*\n", reference)
    return "\n\n".join(
        " ".join(paragraph.split())
        for paragraph in paragraphs
        if len(paragraph.split()) > 12 and not paragraph.startswith((" ", ">>>"))
    )


def cut(
    text: str, count: int, lengths: tuple[int, int], tokenizer: Tokenizer, seed: int = 0
) -> list[str]:
    """`count` consecutive pieces of random length in tokens, reading the text round and round."""
    random = np.random.default_rng(seed)
    offsets = tokenizer.offsets(text)
    pieces: list[str] = []
    position = 0
    while len(pieces) < count:
        length = int(random.integers(lengths[0], lengths[1] + 1))
        if position + length > len(offsets):
            position = int(random.integers(0, lengths[1]))
        piece = text[offsets[position, 0] : offsets[position + length - 1, 1]]
        position += length
        if piece.strip():
            pieces.append(piece)
    return pieces
