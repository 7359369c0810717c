"""Which models ONNX Runtime runs here, and on how many threads. Imports no library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

__all__ = ["cpu_threads", "unsupported_reason"]

_MODEL_TYPES: Final = frozenset(
    {"bert", "camembert", "distilbert", "jina_embeddings_v3", "roberta", "xlm-roberta"}
)


def unsupported_reason(config: Mapping[str, object], adapters: Sequence[str]) -> str | None:
    """Why there is no graph for a model; None where there is one.

    Args:
        config: What its ``config.json`` says.
        adapters: LoRA adapters of its tasks.
    """
    kind = config.get("model_type")
    if kind not in _MODEL_TYPES:
        return f"its architecture {kind!r} is none of {', '.join(sorted(_MODEL_TYPES))}"
    positions = config.get("position_embedding_type") or "absolute"
    alibi = positions == "alibi" and kind == "bert"  # JinaBERT
    if positions != "absolute" and not alibi and kind != "jina_embeddings_v3":
        return f"its positions are {positions!r}: only absolute ones are known"
    if alibi and adapters:
        return "LoRA adapters of a JinaBERT are not known"
    if config.get("is_decoder") or config.get("add_cross_attention"):
        return "it is a decoder"
    activation = config.get("activation" if kind == "distilbert" else "hidden_act") or "gelu"
    if activation not in ("gelu", "relu"):
        return f"its activation is {activation!r}: only 'gelu' and 'relu' are known"
    rotary = cast("Mapping[str, object]", config.get("rope_parameters") or {})
    if rotary.get("rope_type", "default") != "default":
        return f"its rotary positions are scaled by {rotary['rope_type']!r}"
    return None


def cpu_threads() -> int:
    """Threads of a forward pass: ``OMP_NUM_THREADS``, else the physical cores, like torch.

    Two threads of one core share its arithmetic units, so that more threads than cores are slower.
    Cores that this process may not use do not count.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return os.cpu_count() or 1
    threads = os.sched_getaffinity(0)
    try:
        cores = {
            Path(f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list").read_text()
            for n in threads
        }
    except OSError:  # not everywhere, e.g. not in gVisor
        return len(threads)
    return len(cores)
