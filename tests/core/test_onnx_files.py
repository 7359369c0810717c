"""What the ONNX engine reads: weights in all their forms, what is refused, and the cache."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from jina_integrations import errors
from jina_integrations.backends.local.engines.onnx_support import cpu_threads, unsupported_reason

pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.token_states import (  # noqa: E402
    STATES,
    difference,
    load,
    sequences,
    transformers_states,
)

ROOT = Path(__file__).parents[2]
IDS = sequences([40, 9, 1], 400)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_model

    return save_model(tmp_path_factory.mktemp("model") / "bert", "bert")


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bert, tmp_path / "copy")


def rewrite(
    folder: Path, change: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file(dict(change(load_file(path))), path, metadata={"format": "pt"})


# Forms of weights


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_16_bits_are_those_numbers_in_float32(
    dtype: str, bert: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel

    folder = shutil.copytree(bert, tmp_path / dtype)
    model = AutoModel.from_pretrained(bert).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    AutoModel.from_pretrained(folder, dtype=torch.float32).save_pretrained(tmp_path / "wide")
    assert difference(load(folder), transformers_states(tmp_path / "wide"), IDS) <= STATES


def test_weights_in_several_files(bert: Path, copy: Path) -> None:
    from transformers import AutoModel

    (copy / "model.safetensors").unlink()
    AutoModel.from_pretrained(bert).save_pretrained(copy, max_shard_size="20KB")
    assert len(list(copy.glob("model-*.safetensors"))) > 2
    assert difference(load(copy), transformers_states(bert), IDS) <= STATES


def test_weights_with_a_head_and_in_the_old_style(bert: Path, copy: Path) -> None:
    def old(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        renamed = {
            "bert." + name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): a
            for name, a in tensors.items()
        }
        return renamed | {"cls.predictions.bias": np.zeros(400, np.float32)}

    rewrite(copy, old)
    assert difference(load(copy), transformers_states(bert), IDS) <= STATES


# What is refused

WORDS = "embeddings.word_embeddings.weight"
UP = "encoder.layer.1.intermediate.dense.weight"
BROKEN: dict[str, tuple[Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]], str]] = {
    "missing": (lambda t: {n: a for n, a in t.items() if n != UP}, f"missing .*{UP}"),
    "unexpected": (lambda t: t | {UP.replace("1", "2", 1): t[UP]}, "unexpected .*layer.2"),
    "another shape": (lambda t: t | {UP: t[UP][:-1]}, "another shape .*63, 32"),
    "another width": (lambda t: t | {WORDS: t[WORDS][:, :-1].copy()}, "another shape .*400, 31"),
    "twice": (lambda t: t | {"bert." + UP: t[UP]}, f"{UP} twice"),
    "integers": (lambda t: t | {UP: t[UP].astype(np.int32)}, f"missing .*{UP}"),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_weights_that_do_not_fit_are_refused(damage: str, copy: Path) -> None:
    change, message = BROKEN[damage]
    rewrite(copy, change)
    with pytest.raises(errors.ModelLoadError, match=message):
        load(copy)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(size: int, copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(errors.ModelLoadError, match="cannot be read as safetensors"):
        load(copy)


def test_weights_of_other_formats_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(errors.ModelLoadError, match=r"has no model\.safetensors"):
        load(copy)


@pytest.mark.parametrize("index", ["{}", "[]", '{"weight_map": {"a": "../model.safetensors"}}'])
def test_a_wrong_index_is_refused(index: str, copy: Path) -> None:
    (copy / "model.safetensors").rename(copy.parent / "model.safetensors")
    (copy / "model.safetensors.index.json").write_text(index)
    with pytest.raises(errors.ModelLoadError, match=r"index\.json"):
        load(copy)


@pytest.mark.parametrize("rows", ["vocab_size", "max_position_embeddings", "type_vocab_size"])
def test_tables_have_as_many_rows_as_the_configuration_says(rows: str, copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {rows: config[rows] + 1}))
    with pytest.raises(errors.ModelLoadError, match=r"another shape .*embeddings"):
        load(copy)


def test_ids_beyond_the_table_are_an_error_of_ours(bert: Path) -> None:
    with pytest.raises(errors.EmbeddingError, match="ONNX Runtime failed on 1 sequences of 3"):
        load(bert).encode([np.array([5, 400, 6])], adapter=None)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "mpnet"}, "'mpnet'"),
        ({"model_type": "qwen2"}, "'qwen2'"),
        ({}, "None"),
        ({"model_type": "bert", "hidden_act": "gelu_new"}, "gelu_new"),
        ({"model_type": "distilbert", "activation": "silu"}, "silu"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "relative_key"),
        ({"model_type": "roberta", "position_embedding_type": "alibi"}, "alibi"),
        ({"model_type": "bert", "is_decoder": True}, "decoder"),
        (
            {"model_type": "jina_embeddings_v3", "rope_parameters": {"rope_type": "yarn"}},
            "yarn",
        ),
    ],
)
def test_the_reason_why_there_is_no_graph(config: dict[str, object], reason: str) -> None:
    assert reason in (unsupported_reason(config, ()) or "")


def test_what_there_is_a_graph_for(bert: Path) -> None:
    assert unsupported_reason(json.loads((bert / "config.json").read_text()), ()) is None
    jina = {"model_type": "bert", "position_embedding_type": "alibi"}
    assert unsupported_reason(jina, ()) is None
    assert "LoRA" in (unsupported_reason(jina, ("classification",)) or "")
    assert unsupported_reason({"model_type": "jina_embeddings_v3"}, ("separation",)) is None


# Adapters


@pytest.fixture(scope="module")
def jina_v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_jina_v3

    return save_jina_v3(tmp_path_factory.mktemp("hub") / "model")


@pytest.mark.parametrize(
    "option", [{"use_dora": True}, {"bias": "all"}, {"alpha_pattern": {"fc1": 2}}, {"peft_type": 0}]
)
def test_an_adapter_that_is_no_plain_lora_is_refused(
    option: dict[str, object], jina_v3: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(jina_v3, tmp_path / "copy")
    path = folder / "separation" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | option))
    with pytest.raises(errors.ModelLoadError, match=f"{next(iter(option))}.*engine='torch'"):
        load(folder, adapters=["separation"])
    load(folder, adapters=["classification"])


def test_an_adapter_that_does_not_fit_is_refused(jina_v3: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(jina_v3, tmp_path / "copy")
    path = folder / "separation" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = "base_model.model.layers.0.mlp.fc1.lora_B.weight"
    for wrong in (
        {key: tensor for key, tensor in tensors.items() if key != name},
        tensors | {name: tensors[name][1:].copy()},
        tensors | {name: tensors[name][:, 1:].copy()},
        tensors | {"base_model.model.pooler.dense.lora_B.weight": tensors[name]},
    ):
        save_file(wrong, path)
        with pytest.raises(errors.ModelLoadError, match=r"'separation' .* does not fit"):
            load(folder, adapters=["separation"])


# The cache

RUN = """
import sys
from pathlib import Path
import numpy as np
from jina_integrations.backends.local.folder import read_folder
from jina_integrations.backends.local.engines.onnx import load_onnx_encoder
folder = Path(sys.argv[1])
encoder = load_onnx_encoder(
    folder, read_folder(folder, "a model"), adapters=(), precision="float32"
)
print("onnx" in sys.modules, "torch" in sys.modules, "safetensors" in sys.modules)
print(encoder.encode([np.arange(5, 30)], adapter=None).sum())
"""


def start(folder: Path, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        env=os.environ | {"JINA_INTEGRATIONS_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split("\n")


def test_the_second_process_needs_no_builder(bert: Path, tmp_path: Path) -> None:
    first, second = (output(start(bert, tmp_path / "cache")) for _ in range(2))
    assert first[0] == "True False False"
    assert second[0] == "False False False"
    assert first[1] == second[1]
    (graph,) = (tmp_path / "cache" / "graphs").iterdir()
    assert graph.stat().st_size < 50_000  # structure alone


def test_two_processes_may_build_at_once(bert: Path, tmp_path: Path) -> None:
    processes = [start(bert, tmp_path / "cache") for _ in range(3)]
    assert len({output(process)[1] for process in processes}) == 1
    assert [path.suffix for path in (tmp_path / "cache" / "graphs").iterdir()] == [".graph"]


def test_a_graph_that_a_crash_has_cut_short_is_built_anew(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JINA_INTEGRATIONS_CACHE", str(tmp_path))
    expected = load(bert).encode(IDS, adapter=None)
    (graph,) = (tmp_path / "graphs").iterdir()
    whole = graph.read_bytes()
    for size in (0, 10, len(whole) // 2):
        graph.write_bytes(whole[:size])
        np.testing.assert_array_equal(load(bert).encode(IDS, adapter=None), expected)
        assert graph.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_logged(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("JINA_INTEGRATIONS_CACHE", str(blocked))
    with caplog.at_level(logging.INFO, "jina_integrations"):
        assert load(bert).encode(IDS, adapter=None).shape == (50, 32)
    assert "cannot be kept" in caplog.text
    assert "JINA_INTEGRATIONS_CACHE" in caplog.text


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="users have numbers on Unix")
def test_a_user_without_a_home_has_no_cache() -> None:
    """As in a container that runs under any user id."""
    script = (
        "import os, pwd; from pathlib import Path\n"
        "from jina_integrations.backends.local.engines.onnx_cache import graph_of, cache_folder\n"
        "from jina_integrations.backends.local.engines.onnx_architectures import Architecture\n"
        "from jina_integrations.backends.local.engines.onnx_plan import GraphPlan, Parameter\n"
        "def nobody(number): raise KeyError(number)\n"
        "pwd.getpwuid = nobody\n"
        "parameters = ('words.weight', 'embedding_norm.weight', 'embedding_norm.bias')\n"
        "plan = GraphPlan(Architecture(0, 1, 8, 8, 8, 1e-12, 'Gelu', 'alibi', has_types=False),\n"
        "    tuple(Parameter(name, 'FLOAT', (8, 8)) for name in parameters), 0)\n"
        "print(len(graph_of(plan)) > 100)\n"
        "try: cache_folder()\n"
        "except RuntimeError: print('no home')\n"
    )
    unset = ("HOME", "XDG_CACHE_HOME", "JINA_INTEGRATIONS_CACHE")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={key: value for key, value in os.environ.items() if key not in unset}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[:2] == ["True", "no home"], done.stderr


def test_a_full_disk_leaves_nothing_behind(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    script = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n" + RUN
    done = subprocess.run(
        [sys.executable, "-c", script, str(bert)],
        env=os.environ | {"JINA_INTEGRATIONS_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert resource is not None
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "graphs").iterdir())


def test_other_settings_have_other_graphs(
    bert: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JINA_INTEGRATIONS_CACHE", str(tmp_path / "cache"))
    load(bert)
    load(copy)
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 1
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}))
    load(copy)
    load(bert, precision="int8")
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 3


# Processes and threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_works_and_ends() -> None:
    script = (
        "import gc, os, sys\n"
        "from jina_integrations import Embedder\n"
        "embedder = Embedder('minilm', engine='onnx')\n"
        "vector = embedder.embed_queries(['Berlin'])\n"
        "if os.fork() == 0:\n"
        "    gc.collect()\n"
        "    assert (embedder.embed_queries(['Berlin']) == vector).all()\n"
        "    sys.exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 7\n"
        "assert (embedder.embed_queries(['Berlin']) == vector).all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_threads_are_the_cores_or_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cpu_threads() == 3
    for no_number in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", no_number)
        assert 1 <= cpu_threads() <= (os.cpu_count() or 1)


# Memory

MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from jina_integrations.backends.local.folder import read_folder
from jina_integrations.backends.local.engines.onnx import load_onnx_encoder
folder = Path(sys.argv[1])
encoder = load_onnx_encoder(
    folder, read_folder(folder, "a model"), adapters=(), precision="float32"
)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
encoder.encode([np.arange(5, 30)], adapter=None)
before = peak()
encoder.encode([np.arange(8192) % 100 + 5], adapter=None)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("model_type", ["bert", "jina_embeddings_v3", "jina_bert"])
def test_8192_tokens_take_no_memory_of_length_squared(model_type: str, tmp_path: Path) -> None:
    """The scores of one layer would take 3 GiB."""
    from tests.plain_jina_bert import save_jina_bert
    from tests.tiny_models import save_model

    sizes = {
        "hidden_size": 96,
        "num_attention_heads": 12,
        "num_hidden_layers": 1,
        "intermediate_size": 192,
        "max_position_embeddings": 8194,
        "vocab_size": 400,
    }
    folder = tmp_path / "model"
    if model_type == "jina_bert":
        save_jina_bert(folder, tokenizer=False, **sizes)
    else:
        save_model(folder, model_type, **sizes)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < (400 if model_type == "jina_bert" else 150)
