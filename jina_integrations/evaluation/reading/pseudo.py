"""Pseudo-questions: documents asked about their own headings and sentences, which are taken out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from ...errors import ReadError
from ...readers import FailedFile, SkippedFile, Source, read_documents
from ...types import CharSpan, Document
from ..questions import Evidence, Question, QuestionSet
from .assembling import assemble
from .candidates import Candidate, headings, sentences, stripped

__all__ = ["make_questions"]

_T = TypeVar("_T")
_Find: TypeAlias = Callable[[Document, np.random.Generator], Iterable[Candidate]]

_NAMED = 3
"""How many files a note names."""


def make_questions(path: Path, *, count: int, seed: int) -> QuestionSet:
    """Questions made out of documents that have none.

    A heading asks for the text of its section, up to the next heading. A sentence, drawn out of a
    paragraph of three or more, asks for the rest of its paragraph. Both are removed from the text,
    and a candidate whose words stand anywhere else in the documents is passed over: so no question
    is found by its own words. Half are headings where there are enough of each kind. The documents
    take turns, so none gives two more than another that has questions left. Documents without a
    question stay as distractors.

    Args:
        path: A file or folder, as `read_documents` reads it.
        count: How many at most.
        seed: The same seed draws the same questions out of the same documents.

    Raises:
        ReadError: no question can be made.
        MissingExtraError: a file needs a library which is not installed.
    """
    documents, left_out = _read(path)
    drawn = _draw(documents, count, np.random.default_rng(seed))
    if not drawn:
        raise ReadError(
            f"{path}: no question can be made out of {len(documents):,} documents: this needs "
            "Markdown headings of two words or more with text under them, or paragraphs of three "
            "sentences or more, one of them of 6 to 40 words, that stand nowhere else"
        )
    remaining: list[Document] = []
    questions: list[Question] = []
    for number, document in enumerate(documents):
        candidates = sorted(drawn.get(number, ()), key=lambda candidate: candidate.removed)
        removed = [candidate.removed for candidate in candidates]
        remaining.append(_without_candidates(document, candidates))
        text = remaining[-1].text
        for candidate in candidates:
            moved = (_moved(edge, removed) for edge in candidate.evidence)
            evidence = Evidence(document.id, *stripped(text, *moved))
            name = f"{candidate.kind} {len(questions) + 1}"
            questions.append(Question(name, candidate.text, (evidence,)))
    kinds = Counter(candidate.kind for candidates in drawn.values() for candidate in candidates)
    made = (
        f"pseudo-questions of headings ({kinds['heading']:,}) and sentences "
        f"({kinds['sentence']:,}), removed from the documents (seed {seed})"
    )
    name = path.resolve().name
    return assemble(path, remaining, questions, left_out, name=name, made=made)


def _read(path: Path) -> tuple[list[Document], Counter[str]]:
    documents: list[Document] = []
    failed: list[str] = []
    skipped: list[str] = []
    for result in read_documents([path]):
        match result:
            case Document():
                documents.append(result)
            case FailedFile():
                failed.append(f"{result.path} ({result.error})")
            case Source():
                pass
            case SkippedFile():
                skipped.append(f"{result.path} ({result.reason})")
    left_out: Counter[str] = Counter()
    for what, names in (("failed", failed), ("skipped", skipped)):
        if names:
            more = ", …" if len(names) > _NAMED else ""
            left_out[f"{what} files or records: {', '.join(names[:_NAMED])}{more}"] = len(names)
    return documents, left_out


def _draw(
    documents: Sequence[Document], count: int, rng: np.random.Generator
) -> dict[int, list[Candidate]]:
    """Up to `count` candidates, half of each kind where both suffice, by document."""
    texts = [" ".join(document.text.split()) for document in documents]
    order: list[int] = rng.permutation(len(documents)).tolist()

    def candidates(find: _Find) -> Iterator[tuple[int, Candidate]]:
        turns = (
            zip(repeat(number), find(documents[number], rng), strict=False) for number in order
        )
        return (pair for pair in _in_turn(turns) if _stands_once(pair[1], texts))

    some_headings, some_sentences = candidates(headings), candidates(sentences)
    taken = list(islice(some_headings, (count + 1) // 2))
    taken += islice(some_sentences, count - len(taken))
    taken += islice(some_headings, count - len(taken))
    drawn: dict[int, list[Candidate]] = {}
    for number, candidate in taken:
        drawn.setdefault(number, []).append(candidate)
    return drawn


def _in_turn(turns: Iterable[Iterator[_T]]) -> Iterator[_T]:
    """One item of each, then the next of each, and so on."""
    waiting = deque(turns)
    while waiting:
        turn = waiting.popleft()
        for item in islice(turn, 1):
            yield item
            waiting.append(turn)


def _stands_once(candidate: Candidate, texts: Sequence[str]) -> bool:
    """Whether the question stands nowhere but in what is removed for it.

    Args:
        candidate: The question.
        texts: All documents, every run of whitespace as one space.
    """
    return all(
        sum(text.count(words) for text in texts) == candidate.source.count(words)
        for words in {candidate.source, candidate.text}
    )


def _without_candidates(document: Document, candidates: Sequence[Candidate]) -> Document:
    """The document without what is asked for: neither in its text nor in its headings and title."""
    removed = [candidate.removed for candidate in candidates]
    asked = {candidate.text for candidate in candidates}
    metadata = dict(document.metadata)
    if metadata.get("title") in asked:
        metadata["title"] = str(metadata.get("source", document.id)).rpartition("/")[2]
    return replace(
        document,
        text=_without(document.text, removed),
        metadata=metadata,
        headings=tuple(
            replace(heading, start=_moved(heading.start, removed))
            for heading in document.headings
            if not any(start <= heading.start < end for start, end in removed)
        ),
        pages=tuple(replace(page, start=_moved(page.start, removed)) for page in document.pages),
    )


def _without(text: str, removed: Sequence[CharSpan]) -> str:
    starts = (0, *(end for _, end in removed))
    ends = (*(start for start, _ in removed), len(text))
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _moved(position: int, removed: Iterable[CharSpan]) -> int:
    """Where a position of the text is once the spans are removed."""
    return position - sum(min(end, position) - start for start, end in removed if start < position)
