"""What the notebooks of this folder share: real text, passages in context, plots, an answer.

A passage is the `Hit` of `jina_integrations`, whichever framework found it. What is shown has an
HTML form for Jupyter and a plain one for readers that strip HTML.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pydoc_data.topics import topics
from typing import TYPE_CHECKING

import numpy as np

from jina_integrations import Chunk, Document, Hit
from jina_integrations.types import CharSpan, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Answer",
    "Excerpt",
    "Excerpts",
    "answer",
    "embedding_map",
    "find_span",
    "library_documents",
    "make_hit",
    "rank_of",
    "show_hits",
    "show_in_context",
    "similarity_maps",
]


# transformers imports tqdm, which asks Jupyter for a widget library that nothing here needs.
warnings.filterwarnings("ignore", message="IProgress not found")


def library_documents(*names: str, min_chars: int = 2000) -> list[Document]:
    """Chapters of the Python reference that the standard library carries for ``help()``.

    Args:
        names: Chapters, such as ``"execmodel"`` or ``"with"``; none takes all that are long enough.
        min_chars: The shortest chapter taken where none is named.

    Returns:
        Documents with the id ``python/NAME``, in the order of the names.

    Raises:
        KeyError: this version of Python has no such chapter.
    """
    chosen = names or tuple(name for name in sorted(topics) if len(topics[name]) >= min_chars)
    return [Document(f"python/{name}", topics[name].strip(), {"topic": name}) for name in chosen]


def make_hit(document_id: str, start: int, text: str, score: float) -> Hit:
    """A hit from what another framework returned; `start` counts characters of the document."""
    return Hit(Chunk(document_id, 0, start, start + len(text), text), score)


def find_span(text: str, phrase: str) -> CharSpan:
    """Where a phrase first occurs in a text, however its lines are broken there.

    Raises:
        ValueError: nowhere.
    """
    match = re.search(r"\s+".join(map(re.escape, phrase.split())), text)
    if match is None:
        raise ValueError(f"the text has no {phrase!r}")
    return match.span()


def rank_of(hits: Sequence[Hit], document_id: str, span: CharSpan) -> int | None:
    """The rank, from 1, of the first hit that shares a character with the span; None: no hit."""
    start, end = span
    for rank, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        if chunk.document_id == document_id and chunk.start < end and start < chunk.end:
            return rank
    return None


@dataclass(frozen=True)
class Excerpt:
    """A matched piece of a text with what stands around it."""

    title: str
    before: str
    match: str
    after: str

    def __repr__(self) -> str:
        return f"{self.title}\n{self.before}⟦{self.match}⟧{self.after}"

    def to_html(self) -> str:
        """The match in ``<mark>``, which keeps its colours where styles are stripped."""
        text = f"{escape(self.before)}<mark>{escape(self.match)}</mark>{escape(self.after)}"
        return f"<p><b>{escape(self.title)}</b></p>{_block(text)}"


@dataclass(frozen=True)
class Excerpts:
    """Excerpts one below the other."""

    items: tuple[Excerpt, ...]

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.items))

    def _repr_html_(self) -> str:
        return "\n".join(item.to_html() for item in self.items)


def show_in_context(
    text: str, spans: Sequence[CharSpan], *, titles: Sequence[str] = (), around: int = 200
) -> Excerpts:
    """Each span of a text, marked, with up to `around` characters on both sides.

    Args:
        text: The whole text.
        spans: Half-open character ranges, shown in the order given.
        titles: One for each span; none names the ranges.
        around: Characters of context on each side.

    Raises:
        ValueError: a span lies outside the text, or there are not as many titles as spans.
    """
    chosen = titles or [f"characters {start} to {end}" for start, end in spans]
    return Excerpts(
        tuple(
            _excerpt(text, span, title, around) for span, title in zip(spans, chosen, strict=True)
        )
    )


def _excerpt(text: str, span: CharSpan, title: str, around: int) -> Excerpt:
    start, end = span
    if not 0 <= start <= end <= len(text):
        raise ValueError(f"span {span} lies outside the text of {len(text)} characters")
    left, right = max(0, start - around), min(len(text), end + around)
    before = ("…" if left > 0 else "") + text[left:start]
    after = text[end:right] + ("…" if right < len(text) else "")
    return Excerpt(title, before, text[start:end], after)


def show_hits(hits: Sequence[Hit], documents: Sequence[Document], *, around: int = 200) -> Excerpts:
    """Each hit in its document, marked, best first, with its score and its place.

    Raises:
        ValueError: a hit's text is not what its document has at that place.
        KeyError: a hit's document is not among `documents`.
    """
    texts = {document.id: document.text for document in documents}
    shown: list[Excerpt] = []
    for rank, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        text = texts[chunk.document_id]
        if text[chunk.start : chunk.end] != chunk.text:
            raise ValueError(f"{_place(hit)} of the document is not the text of the hit")
        title = f"{rank}. {_place(hit)}, score {hit.score:.3f}"
        shown.append(_excerpt(text, (chunk.start, chunk.end), title, around))
    return Excerpts(tuple(shown))


def _place(hit: Hit) -> str:
    return f"{hit.chunk.document_id}[{hit.chunk.start}:{hit.chunk.end}]"


def embedding_map(
    vectors: FloatArray,
    labels: Sequence[str],
    *,
    title: str,
    queries: FloatArray | None = None,
) -> Figure:
    """All vectors in the plane, by UMAP on cosine distance; near means alike, axes mean nothing.

    Args:
        vectors: Shape (n, dimensions), n at least 4.
        labels: One for each vector, such as its document; equal labels share a colour.
        title: Of the figure.
        queries: Vectors that are placed with the others and drawn as numbered stars, from 1.
    """
    from umap import UMAP  # type: ignore[import-untyped]  # it has no stubs

    rows = vectors if queries is None else np.concatenate([vectors, queries])
    layout = UMAP(
        metric="cosine", n_neighbors=min(15, len(rows) - 1), random_state=0, n_jobs=1, init="pca"
    )
    points = np.asarray(layout.fit_transform(rows))
    figure, (axes,) = _figure(1, (7.5, 4.5))
    names = list(dict.fromkeys(labels))
    places, stars = points[: len(vectors)], points[len(vectors) :]
    for number, name in enumerate(names):
        group = places[[label == name for label in labels]]
        marker = "os^Dv"[number // 10 % 5]
        axes.scatter(
            group[:, 0], group[:, 1], s=16, alpha=0.7, color=f"C{number}", marker=marker, label=name
        )
    for number, (x, y) in enumerate(stars, start=1):
        axes.scatter(x, y, s=220, color="black", marker="*", zorder=3)
        axes.annotate(str(number), (x, y), (7, 5), textcoords="offset points", weight="bold")
    axes.set(title=title, xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small", frameon=False)
    return figure


def similarity_maps(
    late: FloatArray, isolated: FloatArray, *, queries: FloatArray | None = None
) -> Figure:
    """Cosine similarities of the same chunks, late-chunked and embedded alone, and late - isolated.

    Args:
        late: Shape (chunks, dimensions), in the order of the text.
        isolated: The same chunks embedded one by one, same shape.
        queries: One row of the maps for each, numbered from 1. None compares the chunks among
            themselves.
    """
    from matplotlib.ticker import MaxNLocator

    maps = [_cosines(late if queries is None else queries, late)]
    maps.append(_cosines(isolated if queries is None else queries, isolated))
    low, high = float(np.min(maps)), float(np.max(maps))
    change = maps[0] - maps[1]
    reach = float(np.abs(change).max())
    height = 3.6 if queries is None else 1.6 + 0.3 * len(queries)
    figure, (left, middle, right) = _figure(3, (12, height))
    left.imshow(maps[0], vmin=low, vmax=high, aspect="auto")
    both = middle.imshow(maps[1], vmin=low, vmax=high, aspect="auto")
    difference = right.imshow(change, vmin=-reach, vmax=reach, cmap="RdBu_r", aspect="auto")
    figure.colorbar(both, ax=[left, middle])
    figure.colorbar(difference, ax=right)
    left.set_title("cosine similarity, late chunking")
    middle.set_title("cosine similarity, each chunk alone")
    right.set_title("difference: late - alone")
    for axes in (left, middle, right):
        axes.set_xlabel("chunk, in the order of the text")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if queries is None:
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.set_yticks(range(len(queries)), [str(n + 1) for n in range(len(queries))])
    left.set_ylabel("chunk" if queries is None else "question")
    return figure


def _cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


def _figure(columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=size, dpi=72, layout="constrained", facecolor="white")
    plt.close(figure)  # so that a notebook shows it once, where it is returned
    return figure, [figure.add_subplot(1, columns, n + 1) for n in range(columns)]


@dataclass(frozen=True)
class Answer:
    """What a language model was asked, or would be, and what it said.

    Attributes:
        prompt: The whole prompt, with the passages.
        hits: The passages, in the order of their numbers.
        text: The answer, or None where no model was asked.
        note: Which model answered, or what has to be set so that one does.
    """

    prompt: str
    hits: tuple[Hit, ...]
    text: str | None
    note: str

    def __repr__(self) -> str:
        if self.text is not None:
            return f"{self.note}\n\n{self.text}\n\nPassages: {', '.join(map(_place, self.hits))}"
        return f"{self.note}\n\n{self.prompt}"

    def _repr_html_(self) -> str:
        if self.text is not None:
            places = "".join(f"<li>{escape(_place(hit))}</li>" for hit in self.hits)
            return f"<p>{escape(self.note)}</p>{_block(escape(self.text))}<ol>{places}</ol>"
        return f"<p>{escape(self.note)}</p>{_block(escape(self.prompt))}"


def _block(html: str) -> str:
    return f'<blockquote><pre style="white-space: pre-wrap">{html}</pre></blockquote>'


def answer(question: str, hits: Sequence[Hit]) -> Answer:
    """Ask an OpenAI-compatible chat model, or show what it would be asked.

    A model is asked where ``LLM_MODEL`` and one of ``OPENAI_BASE_URL`` (any server, such as a local
    one) and ``OPENAI_API_KEY`` are set.

    Raises:
        openai.OpenAIError: the model that is configured did not answer.
    """
    quoted = "\n\n".join(
        f"[{number}] {_place(hit)}\n{hit.chunk.text}" for number, hit in enumerate(hits, start=1)
    )
    prompt = (
        "Answer the question from the passages below and from nothing else. Name the numbers of "
        "the passages that you use. If they do not hold the answer, say so.\n\n"
        f"Passages:\n\n{quoted}\n\nQuestion: {question}"
    )
    model = os.environ.get("LLM_MODEL")
    base_url, key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
    if not model or not (base_url or key):
        note = (
            "No language model is configured (LLM_MODEL with OPENAI_API_KEY or OPENAI_BASE_URL). "
            "It would be asked:"
        )
        return Answer(prompt, tuple(hits), None, note)

    from openai import OpenAI

    with OpenAI(api_key=key or "none is needed here") as client:
        completion = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}]
        )
    text = completion.choices[0].message.content or ""
    return Answer(prompt, tuple(hits), text, f"{model} answers:")
