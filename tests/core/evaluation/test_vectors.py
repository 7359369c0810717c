"""An evaluation measures the vectors that `ingest` stores."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from jina_integrations import Document, Embedder, SentenceChunker, ingest
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    LateChunkingUnsupportedError,
)
from jina_integrations.evaluation import Grid, QuestionSet
from jina_integrations.evaluation.encoding import encode
from jina_integrations.evaluation.vectors import chunk_vectors, signs, stored, vector_bytes

SMALL = SentenceChunker(8)
GRID_OF_LONG = Grid(chunkers=[SentenceChunker(80)])


def stored_by_ingest(question_set, own, embedder, memory_store) -> np.ndarray:
    window_tokens, overlap_tokens = own.window
    filled = embedder.replace(
        late_chunking=own.context_weight > 0,
        context_weight=own.context_weight,
        window_tokens=window_tokens,
        overlap_tokens=overlap_tokens,
        dimensions=own.dimensions,
    )
    store = type(memory_store)()
    report = ingest(question_set.documents, embedder=filled, chunker=SMALL, store=store)
    assert not report.failures
    rows = {(one.chunk.document_id, one.chunk.index): one.vector for one in store.chunks.values()}
    return rows, report.tokens


def check_all(question_set, embedder, grid, memory_store) -> None:
    encoded = encode(question_set, embedder=embedder, grid=grid, on_progress=None)
    assert len(grid.configurations) > 3
    for own in grid.configurations:
        expected, tokens = stored_by_ingest(question_set, own, embedder, memory_store)
        vectors = chunk_vectors(encoded, own)
        chunks = encoded.chunks[own.chunker]
        assert len(vectors) == len(chunks) == len(expected)
        for chunk, vector in zip(chunks, vectors, strict=True):
            np.testing.assert_allclose(
                vector, expected[chunk.document_id, chunk.index], atol=2e-6, err_msg=own.name
            )
        parts = [one for one in encoded.tokens if one.chunker == own.chunker]
        wanted = [one for one in parts if one.window is None and own.context_weight < 1]
        wanted += [one for one in parts if one.window == own.window and own.context_weight > 0]
        assert sum(encoded.tokens[one] for one in wanted) == tokens, own.name


def test_every_vector_is_that_of_ingest(question_set: QuestionSet, memory_store) -> None:
    grid = Grid(
        chunkers=[SMALL],
        context_weights=[0.0, 0.25, 1.0],
        neighbour_weights=[],
        windows=[(None, None), (16, 6)],
    )

    check_all(question_set, Embedder("minilm"), grid, memory_store)


def test_shorter_vectors_are_those_of_ingest(
    question_set: QuestionSet, memory_store, words
) -> None:
    grid = Grid(chunkers=[SMALL], neighbour_weights=[], dimensions=[None, 16])

    check_all(question_set, Embedder("words"), grid, memory_store)


def test_each_document_is_encoded_once_for_all_chunkers_and_weights(
    question_set: QuestionSet, words
) -> None:
    grid = Grid(chunkers=[SMALL, SentenceChunker(20), SentenceChunker(50)])
    encoded = encode(question_set, embedder=Embedder("words"), grid=grid, on_progress=None)

    # Questions, then the chunks of each chunker, then all documents together.
    assert words.calls[0] == 8
    assert words.calls[1:-1] == [len(own) for own in encoded.chunks.values()]
    assert words.calls[-1] == 3
    assert encoded.tokens_encoded == sum(
        len(text.split())
        for text in [
            *(own.text for own in question_set.questions),
            *(own.text for own in question_set.documents),
            *(chunk.text for own in encoded.chunks.values() for chunk in own),
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
    isolated, control = (chunk_vectors(encoded, own) for own in grid.configurations)

    chunks = encoded.chunks[grid.configurations[0].chunker]
    for at, chunk in enumerate(chunks):
        expected = isolated[at].astype(np.float64)
        for other in (at - 1, at + 1):
            same = 0 <= other < len(chunks) and chunks[other].document_id == chunk.document_id
            expected += 0.3 * isolated[other] if same else 0.0
        np.testing.assert_allclose(control[at], expected / np.linalg.norm(expected), atol=1e-6)


def test_a_document_that_fails_is_left_out_of_every_configuration(
    question_set: QuestionSet, words
) -> None:
    bad = Document("bad", "This one gives NAN today. And more.")
    binary = Document("binary", "A\0B")
    known = replace(question_set, documents=(bad, *question_set.documents, binary))
    grid = Grid(chunkers=[SMALL, SentenceChunker(30)])
    encoded = encode(known, embedder=Embedder("words"), grid=grid, on_progress=None)

    assert {own.document_id for own in encoded.failures} == {"bad", "binary"}
    assert encoded.question_set.documents == question_set.documents
    for name, own in encoded.chunks.items():
        assert {chunk.document_id for chunk in own} == {"bakery", "keeper", "ferry"}
        assert {len(rows) for one, rows in encoded.vectors.items() if one.chunker == name} == {
            len(own)
        }


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
        own.name.removeprefix("sentence:256 "): vector_bytes(own, chunks=10, dimensions=32)
        for own in grid.configurations
    }
    full = np.zeros((10, 32), np.float32)

    assert sizes["isolated"] == full.nbytes
    assert sizes["isolated int8"] == full.astype(np.int8).nbytes
    assert sizes["isolated binary"] == np.packbits(full > 0, axis=1).nbytes
    assert sizes["isolated binary-rescored"] == sizes["isolated binary"] + full.nbytes
    assert sizes["isolated 12d binary"] == np.packbits(full[:, :12] > 0, axis=1).nbytes
    assert sizes["bm25"] == 0
