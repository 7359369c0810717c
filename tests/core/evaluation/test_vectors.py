"""An evaluation measures the vectors that `ingest` stores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from jina_integrations import Collection, Document, Embedder, SentenceChunker
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    LateChunkingUnsupportedError,
)
from jina_integrations.evaluation import Configuration, Grid, QuestionSet
from jina_integrations.evaluation.encoding import Encoded, encode
from jina_integrations.evaluation.vectors import chunk_vectors, signs, stored, vector_bytes
from jina_integrations.testing import MemoryStore
from jina_integrations.types import Heading

SMALL = SentenceChunker(8)
GRID_OF_LONG = Grid(chunkers=[SentenceChunker(80)])


def stored_by_ingest(
    documents: Sequence[Document], configuration: Configuration, embedder: Embedder, grid: Grid
) -> tuple[dict[tuple[str, int], np.ndarray], int]:
    """The vectors that a `Collection` of these settings stores, and the tokens of filling it."""
    filled = embedder.replace(
        late_chunking=configuration.context_weight > 0, **configuration.settings
    )
    store = MemoryStore("evaluation")
    collection = Collection(
        store,
        embedder=filled,
        chunker=grid.chunker(configuration.chunker),
        heading_context=configuration.heading_context,
    )
    report = collection.ingest(documents)
    assert not report.failures
    rows = {
        (record.chunk.document_id, record.chunk.index): record.vectors.dense
        for record in store.scan((), content=True, vectors=True)
    }
    collection.drop()
    return rows, report.tokens


def check_all(documents: Sequence[Document], encoded: Encoded, embedder, grid: Grid) -> None:
    assert len(grid.configurations) > 2
    for configuration in grid.configurations:
        expected, tokens = stored_by_ingest(documents, configuration, embedder, grid)
        vectors = chunk_vectors(encoded, configuration)
        chunks = encoded.chunks[configuration.chunker]
        assert len(vectors) == len(chunks) == len(expected)
        for chunk, vector in zip(chunks, vectors, strict=True):
            np.testing.assert_allclose(
                vector,
                expected[chunk.document_id, chunk.index],
                atol=2e-6,
                err_msg=configuration.name,
            )
        parts = encoded.encodings[configuration]
        assert sum(encoded.tokens[encoding] for encoding in parts) == tokens, configuration.name


def test_every_vector_is_that_of_ingest(question_set: QuestionSet) -> None:
    grid = Grid(
        chunkers=[SMALL],
        context_weights=[0.0, 0.25, 1.0],
        neighbour_weights=[],
        windows=[(None, None), (16, 6)],
    )
    embedder = Embedder("minilm")
    encoded = encode(question_set, embedder=embedder, grid=grid, on_progress=None)

    check_all(question_set.documents, encoded, embedder, grid)


def test_default_windows_of_a_mix_and_of_late_chunking_are_those_of_ingest(
    question_set: QuestionSet,
) -> None:
    grid = Grid(chunkers=[SMALL], context_weights=[0.0, 0.25, 0.5, 1.0], neighbour_weights=[])
    embedder = Embedder("minilm", window_tokens=16)
    encoded = encode(question_set, embedder=embedder, grid=grid, on_progress=None)

    check_all(question_set.documents, encoded, embedder, grid)
    windows = {encoding.window for parts in encoded.encodings.values() for encoding in parts}
    assert windows == {(None, None), (16, 2), (16, 8)}


def test_shorter_vectors_are_those_of_ingest(question_set: QuestionSet, words) -> None:
    grid = Grid(chunkers=[SMALL], neighbour_weights=[], dimensions=[None, 16])
    embedder = Embedder("words")
    encoded = encode(question_set, embedder=embedder, grid=grid, on_progress=None)

    check_all(question_set.documents, encoded, embedder, grid)


def headed(question_set: QuestionSet) -> QuestionSet:
    """The set, where each document has a title, and a heading over its second half."""
    documents = [
        replace(
            document,
            metadata={"title": f"About the {document.id}"},
            headings=(Heading(document.text.index(".") + 2, 1, "What else there is"),),
        )
        for document in question_set.documents
    ]
    return replace(question_set, documents=tuple(documents))


def test_vectors_with_headings_are_those_of_ingest(question_set: QuestionSet) -> None:
    grid = Grid(
        chunkers=[SMALL],
        context_weights=[0.0, 0.5],
        neighbour_weights=[],
        heading_contexts=[True],
    )
    embedder = Embedder("minilm")
    asked = headed(question_set)
    encoded = encode(asked, embedder=embedder, grid=grid, on_progress=None)

    check_all(asked.documents, encoded, embedder, grid)
    plain, isolated, *_ = grid.configurations
    assert isolated == plain.replace(heading_context=True)
    cosines = (chunk_vectors(encoded, plain) * chunk_vectors(encoded, isolated)).sum(axis=1)
    assert cosines.max() < 0.999, "the headings are in every vector"


def test_headings_that_are_shortened_are_those_of_ingest(question_set: QuestionSet, words) -> None:
    """A mix shortens them in the document, too; late chunking by itself leaves them whole."""
    long = " ".join(["The bakery is old."] * 11)  # 44 words, of 50 that the model takes
    bakery = replace(
        question_set.documents[0],
        text=f"{question_set.documents[0].text} {long}",
        metadata={"title": "A title of more words than there is room for"},
        headings=(Heading(0, 1, "Baking"),),
    )
    asked = replace(question_set, documents=(bakery, *question_set.documents[1:]))
    grid = Grid(
        chunkers=[SentenceChunker(48)],
        context_weights=[0.0, 0.25, 1.0],
        neighbour_weights=[],
        heading_contexts=[True],
    )
    embedder = Embedder("words")
    encoded = encode(asked, embedder=embedder, grid=grid, on_progress=None)

    check_all(asked.documents, encoded, embedder, grid)
    mix = Configuration(chunker="sentence:48", context_weight=0.25, heading_context=True)
    assert len(encoded.encodings[mix]) == 1


def test_headings_of_several_chunkers_are_in_passes_of_their_own(
    question_set: QuestionSet, words
) -> None:
    """In front of the chunks of one chunker they would lie inside those of another."""
    chunkers = [SMALL, SentenceChunker(20)]
    asked = headed(question_set)
    together = encode(
        asked,
        embedder=Embedder("words"),
        grid=Grid(chunkers=chunkers, heading_contexts=[True]),
        on_progress=None,
    )
    for chunker in chunkers:
        alone = encode(
            asked,
            embedder=Embedder("words"),
            grid=Grid(chunkers=[chunker], heading_contexts=[True]),
            on_progress=None,
        )
        for encoding, rows in alone.vectors.items():
            np.testing.assert_array_equal(together.vectors[encoding], rows)
            assert together.tokens[encoding] == alone.tokens[encoding]


def test_each_document_is_encoded_once_for_all_chunkers_and_weights(
    question_set: QuestionSet, words
) -> None:
    grid = Grid(chunkers=[SMALL, SentenceChunker(20), SentenceChunker(50)])
    encoded = encode(question_set, embedder=Embedder("words"), grid=grid, on_progress=None)

    # Questions, then the chunks of each chunker, then all documents together.
    assert words.calls[0] == 8
    assert words.calls[1:-1] == [len(chunks) for chunks in encoded.chunks.values()]
    assert words.calls[-1] == 3
    assert encoded.tokens_encoded == sum(
        len(text.split())
        for text in [
            *(question.text for question in question_set.questions),
            *(document.text for document in question_set.documents),
            *(chunk.text for chunks in encoded.chunks.values() for chunk in chunks),
        ]
    )


def test_through_the_api_each_chunker_is_an_encoding_of_its_own(
    question_set: QuestionSet, words, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid(chunkers=[SMALL, SentenceChunker(20)])
    here = encode(question_set, embedder=Embedder("words"), grid=grid, on_progress=None)
    passes = len(words.calls)
    monkeypatch.setattr(words, "kind", "api")
    there = encode(question_set, embedder=Embedder("words"), grid=grid, on_progress=None)

    # The spans of two chunkers overlap, which Jina's API does not take.
    assert len(words.calls) == passes + passes + 1
    for encoding, rows in here.vectors.items():
        np.testing.assert_array_equal(there.vectors[encoding], rows)
    assert there.tokens == here.tokens
    assert there.tokens_encoded > here.tokens_encoded


def test_the_control_adds_the_chunks_before_and_after(question_set: QuestionSet, words) -> None:
    grid = Grid(chunkers=[SMALL], context_weights=[], neighbour_weights=[0.3])
    encoded = encode(question_set, embedder=Embedder("words"), grid=grid, on_progress=None)
    isolated, control = (chunk_vectors(encoded, item) for item in grid.configurations)

    chunks = encoded.chunks[grid.configurations[0].chunker]
    for index, chunk in enumerate(chunks):
        expected = isolated[index].astype(np.float64)
        for other in (index - 1, index + 1):
            same = 0 <= other < len(chunks) and chunks[other].document_id == chunk.document_id
            expected += 0.3 * isolated[other] if same else 0.0
        np.testing.assert_allclose(control[index], expected / np.linalg.norm(expected), atol=1e-6)


def test_a_document_that_fails_is_left_out_of_every_configuration(
    question_set: QuestionSet, words
) -> None:
    bad = Document("bad", "This one gives NAN today. And more.")
    binary = Document("binary", "A\0B")
    known = replace(question_set, documents=(bad, *question_set.documents, binary))
    grid = Grid(chunkers=[SMALL, SentenceChunker(30)])
    encoded = encode(known, embedder=Embedder("words"), grid=grid, on_progress=None)

    assert {failure.document_id for failure in encoded.failures} == {"bad", "binary"}
    assert encoded.question_set.documents == question_set.documents
    for name, chunks in encoded.chunks.items():
        assert {chunk.document_id for chunk in chunks} == {"bakery", "keeper", "ferry"}
        assert {
            len(rows) for encoding, rows in encoded.vectors.items() if encoding.chunker == name
        } == {len(chunks)}


def test_where_every_document_fails_the_first_error_is_told(
    question_set: QuestionSet, words
) -> None:
    long = replace(question_set, documents=tuple(map(repeated, question_set.documents)))

    with pytest.raises(InvalidInputError, match=r"3 of 3 documents .* 'bakery': .* 50"):
        encode(long, embedder=Embedder("words"), grid=GRID_OF_LONG, on_progress=None)
    assert len(words.calls) == 2, "the questions and the chunks, and no document after that"


def repeated(document: Document) -> Document:
    return Document(document.id, " ".join([document.text] * 5))


def test_a_question_that_cannot_be_embedded_is_named(question_set: QuestionSet, words) -> None:
    long = replace(question_set.questions[2], text="word " * 51)
    asked = (*question_set.questions[:2], long)

    with pytest.raises(InvalidInputError, match="question 'q2' cannot be embedded"):
        encode(
            replace(question_set, questions=asked),
            embedder=Embedder("words"),
            grid=Grid(),
            on_progress=None,
        )
    assert len(words.calls) == 1, "before any document is encoded"


def test_what_the_model_cannot_do_is_said_before_anything_is_encoded(
    question_set: QuestionSet, words, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidSettingError, match="4"):
        encode(
            question_set,
            embedder=Embedder("words"),
            grid=Grid(dimensions=[4]),
            on_progress=None,
        )
    with pytest.raises(InvalidSettingError, match="have 16 values, so they cannot be cut to 24"):
        encode(
            question_set,
            embedder=Embedder("words", dimensions=16),
            grid=Grid(dimensions=[8, 24]),
            on_progress=None,
        )
    card = replace(words.card.fget(None), pooling="cls", late_chunking=None)
    monkeypatch.setattr(words, "card", card)
    with pytest.raises(LateChunkingUnsupportedError, match=r"context_weights=\[0.0\]"):
        encode(question_set, embedder=Embedder("words"), grid=Grid(), on_progress=None)
    assert words.calls == []

    isolated = Grid(context_weights=[0.0])
    encoded = encode(question_set, embedder=Embedder("words"), grid=isolated, on_progress=None)
    assert len(encoded.vectors) == 1


def test_int8_is_what_sentence_transformers_stores() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from sentence_transformers.util.quantization import quantize_embeddings

    rows = np.random.default_rng(0).standard_normal((200, 32)).astype(np.float32)
    low, step = rows.min(axis=0), (rows.max(axis=0) - rows.min(axis=0)) / 255
    levels = np.round((stored(rows, "int8") - low) / step - 128)
    theirs = quantize_embeddings(rows, precision="int8").astype(np.float64)

    # They cut the fraction off where we round.
    assert np.abs(levels - theirs).max() <= 1
    assert np.abs(stored(rows, "int8") - rows).max() <= step.max() / 2 + 1e-6
    np.testing.assert_array_equal(stored(np.ones((3, 2), np.float32), "int8"), 1.0)


def test_products_of_signs_rank_as_the_hamming_distance_of_packed_bits() -> None:
    rows = np.random.default_rng(1).standard_normal((50, 64)).astype(np.float32)
    bits = np.packbits(rows > 0, axis=1)
    distances = np.bitwise_count(bits[:1] ^ bits).sum(axis=1)

    np.testing.assert_array_equal(signs(rows[:1]) @ signs(rows).T, 64 - 2.0 * distances[None, :])


def test_bytes_are_those_of_the_stored_arrays() -> None:
    grid = Grid(
        context_weights=[0.0],
        neighbour_weights=[],
        dimensions=[None, 12],
        quantizations=["none", "int8", "binary", "binary-rescored"],
        retrievals=["dense", "bm25"],
    )
    sizes = {
        item.name.removeprefix("sentence:256 "): vector_bytes(item, chunks=10, dimensions=32)
        for item in grid.configurations
    }
    full = np.zeros((10, 32), np.float32)

    assert sizes["isolated"] == full.nbytes
    assert sizes["isolated int8"] == full.astype(np.int8).nbytes
    assert sizes["isolated binary"] == np.packbits(full > 0, axis=1).nbytes
    assert sizes["isolated binary-rescored"] == sizes["isolated binary"] + full.nbytes
    assert sizes["isolated 12d binary"] == np.packbits(full[:, :12] > 0, axis=1).nbytes
    assert sizes["bm25"] == 0
