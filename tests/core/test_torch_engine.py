"""The torch engine: what it does on a GPU, as far as that can be seen without one.

Tensors on torch's device ``meta`` have shapes and no values. Operations check their arguments
there, and whatever would wait for a value fails, as it would make the host wait for a GPU.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jina_integrations import Embedder, errors
from jina_integrations.backends.local.late_chunking import TokenSequence

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

LENGTHS = (9, 7, 7, 1)
SIZES = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
    "pad_token_id": 1,
}


def batch(lengths: Sequence[int] = LENGTHS) -> list[TokenSequence]:
    """Sequences that are pooled whole, each into a vector of its own."""
    return [
        TokenSequence(
            ids=np.arange(length) + 5,
            rows=np.arange(length),
            vectors=np.full(length, number),
            weights=np.full(length, 1 / length, np.float32),
        )
        for number, length in enumerate(lengths)
    ]


def transformers_model(model_type: str, *, packed: bool, **config: object):
    from transformers import AutoConfig, AutoModel

    from jina_integrations.backends.local.engines.attention import (
        PACKED_ATTENTION,
        register_packed_attention,
    )

    register_packed_attention()
    return AutoModel.from_config(
        AutoConfig.for_model(model_type, **(SIZES | config)),
        attn_implementation=PACKED_ATTENTION if packed else "sdpa",
        dtype=torch.bfloat16,
    )


def jina_bert(code: bool):
    from jina_integrations.backends.local.engines.jina_bert import JinaBertConfig, JinaBertModel

    config = SIZES | {"type_vocab_size": 2, "feed_forward_type": "geglu"}
    return JinaBertModel(JinaBertConfig.of(config, code_variant=code)).bfloat16()


MODELS: dict[str, tuple[bool, Callable[[], object]]] = {
    "bert": (True, lambda: transformers_model("bert", packed=True)),
    "jina_embeddings_v3": (True, lambda: transformers_model("jina_embeddings_v3", packed=True)),
    "qwen3": (
        True,
        lambda: transformers_model("qwen3", packed=True, num_key_value_heads=2, head_dim=8),
    ),
    "padded bert": (False, lambda: transformers_model("bert", packed=False)),
    "JinaBERT": (True, lambda: jina_bert(code=False)),
    "JinaBERT for code": (True, lambda: jina_bert(code=True)),
}


def encoder(name: str, device: str):
    from jina_integrations.backends.local.engines.torch import TorchEncoder

    packed, make = MODELS[name]
    model = make().to(device).eval()  # type: ignore[attr-defined]
    return TorchEncoder(
        model, width=32, packed=packed, first_position=0, pad_id=1, concurrent=False
    )


@pytest.mark.parametrize("name", [name for name in MODELS if name != "padded bert"])
def test_a_forward_pass_waits_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But of a padded model, where transformers looks into the mask."""
    from torch.nn.attention import varlen

    from jina_integrations.backends.local.engines import attention

    tensor = torch.tensor

    def copy(*arguments: object, **options: object):
        ours = str(sys._getframe(1).f_globals["__name__"]).startswith("jina_integrations")
        assert not ours, "a list is copied at once, and the device waited for: use copy_to"
        return tensor(*arguments, **options)

    kernel, calls = varlen.varlen_attn, []

    def counted(*arguments: object, **options: object):
        calls.append(1)
        return kernel(*arguments, **options)

    monkeypatch.setattr(varlen, "varlen_attn", counted)
    monkeypatch.setattr(attention, "has_flash_attention", lambda device: True)
    sums = encoder(name, "meta").start(len(LENGTHS))
    monkeypatch.setattr(torch, "tensor", copy)
    sums.add(batch(), adapter=None)
    assert sums._sums.shape == (len(LENGTHS), 32)
    assert sums._sums.is_meta
    assert len(calls) == (0 if "JinaBERT" in name else 2)  # one for each layer


def test_whatever_waits_fails_on_that_device() -> None:
    states, mask = torch.ones(3, 2, device="meta"), torch.ones(3, device="meta").bool()
    for wait in (lambda: states[mask], lambda: states.sum().item(), states.tolist, states.numpy):
        with pytest.raises((NotImplementedError, RuntimeError, TypeError)):
            wait()


@pytest.mark.parametrize("name", MODELS)
def test_sequences_together_equal_each_alone_in_bfloat16(name: str) -> None:
    torch.manual_seed(1)
    model = encoder(name, "cpu")
    together, alone = model.start(len(LENGTHS)), model.start(len(LENGTHS))
    together.add(batch(), adapter=None)
    for sequence in batch():
        alone.add([sequence], adapter=None)
    want = alone.result()
    assert together.result().dtype == np.float32
    np.testing.assert_allclose(together.result(), want, atol=0.03 * np.abs(want).max())


@pytest.mark.parametrize("name", ["JinaBERT", "JinaBERT for code"])
@pytest.mark.parametrize("elements", [1, 4 * 9 * 2, 4 * 9 * 9 - 1])
def test_blocks_of_jina_bert_change_nothing_in_bfloat16(
    name: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local.engines import jina_bert

    torch.manual_seed(1)
    model = encoder(name, "cpu")
    whole, blocks = model.start(len(LENGTHS)), model.start(len(LENGTHS))
    whole.add(batch(), adapter=None)
    monkeypatch.setattr(jina_bert, "_BIAS_ELEMENTS", elements)
    blocks.add(batch(), adapter=None)
    want = whole.result()
    np.testing.assert_allclose(blocks.result(), want, atol=0.03 * np.abs(want).max())


def test_copies_to_cuda_are_pinned_and_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    from jina_integrations.backends.local.engines.torch_device import copy_to

    steps: list[object] = []

    def pin(tensor):
        steps.append("pinned")
        return tensor

    def to(tensor, device, *, non_blocking: bool = False):
        steps.append((str(device), non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    values = np.arange(3)
    assert copy_to(torch.device("cuda:1"), values).tolist() == [0, 1, 2]
    assert copy_to(torch.device("cpu"), values).tolist() == [0, 1, 2]
    assert steps == ["pinned", ("cuda:1", True), ("cpu", False)]


def test_cuda_is_two_passes_behind_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class Event:
        numbers = iter("abc")

        def __init__(self) -> None:
            self.name = next(self.numbers)

        def record(self, stream: str) -> None:
            steps.append(f"{self.name} begun on {stream}")

        def synchronize(self) -> None:
            steps.append(f"{self.name} done")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    model = encoder("bert", "cpu")
    model.wait_for_previous()
    assert not steps
    model.device = torch.device("cuda:1")
    for _ in range(3):
        model.wait_for_previous()
    begun = "begun on the stream of cuda:1"
    assert steps == [f"a {begun}", f"b {begun}", "a done", f"c {begun}", "b done"]


@pytest.mark.parametrize(
    ("device", "capability", "version", "flash"),
    [
        ("cuda:0", (9, 0), "2.13.0+cu130", True),
        ("cuda:0", (8, 0), "2.12.0", True),
        ("cuda:0", (7, 5), "2.13.0", False),  # Turing, such as a T4
        ("cuda:0", (9, 0), "2.11.0", False),
        ("cpu", (9, 0), "2.13.0", False),
        ("mps", (9, 0), "2.13.0", False),
    ],
)
def test_which_devices_have_flash_attention(
    device: str,
    capability: tuple[int, int],
    version: str,
    flash: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.torch_version import TorchVersion

    from jina_integrations.backends.local.engines import torch_device

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    assert torch_device.has_flash_attention.__wrapped__(torch.device(device)) is flash


@pytest.mark.parametrize(
    ("dtype", "size", "fits"),
    [
        (torch.bfloat16, 64, True),
        (torch.float16, 256, True),
        (torch.float32, 64, False),
        (torch.bfloat16, 12, False),
        (torch.bfloat16, 264, False),
    ],
)
def test_which_states_flash_attention_takes(
    dtype: object, size: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_integrations.backends.local.engines import attention

    monkeypatch.setattr(attention, "has_flash_attention", lambda device: True)
    assert attention._fits_varlen(torch.empty(1, 2, 3, size, dtype=dtype)) is fits


# Precisions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_model

    return save_model(tmp_path_factory.mktemp("model") / "bert", "bert")


@pytest.mark.parametrize(
    ("precision", "ratio", "warnings"),
    [("float16", 3.2, 1), ("bfloat16", 0.4, 0), ("float32", 3.2, 0)],
)
def test_a_precision_that_is_slower_here_is_told_of_and_obeyed(
    precision: str,
    ratio: float,
    warnings: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from jina_integrations.backends.local.engines import torch_device

    monkeypatch.setattr(
        torch_device, "_seconds", lambda dtype: 1.0 if dtype == torch.float32 else ratio
    )
    embedder = Embedder(str(folder), engine="torch", precision=precision)  # type: ignore[arg-type]
    embedder.unload()
    with caplog.at_level(logging.WARNING, "jina_integrations"):
        vectors = [embedder.embed_documents(["Berlin", "Spree"]) for _ in range(2)]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == warnings
    assert all(f"{precision} is slower than float32" in text for text in messages)
    assert all("3.2 times" in text for text in messages)
    exact = Embedder(str(folder), engine="torch").embed_documents(["Berlin", "Spree"])
    assert (vectors[0] * exact).sum(axis=1).min() > 0.999
    assert np.array_equal(vectors[0], exact) is (precision == "float32")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_matrix_products_are_timed(dtype: object) -> None:
    from jina_integrations.backends.local.engines import torch_device

    assert 0 < torch_device._seconds(dtype) < 60  # type: ignore[arg-type]


def test_int8_on_torch_is_refused(folder: Path) -> None:
    embedder = Embedder(str(folder), engine="torch", precision="int8")
    with pytest.raises(errors.InvalidSettingError, match="'int8' runs on ONNX Runtime alone"):
        embedder.embed_documents(["Berlin"])


def test_memory_that_does_not_suffice_is_an_error_of_ours() -> None:
    model = encoder("bert", "cpu")

    def fail(**_: object) -> SimpleNamespace:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model._model.forward = fail
    with pytest.raises(errors.EmbeddingError, match=r"cpu has no memory.* 24 tokens: lower batch_"):
        model.start(len(LENGTHS)).add(batch(), adapter=None)
