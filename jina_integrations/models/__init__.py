"""What is known of each model: the form of a card, the rows, and the names of tasks."""

from __future__ import annotations

from .card import (
    LateChunkingDefaults,
    ModelCard,
    Pooling,
    ServiceScheme,
    TaskScheme,
    TokenizerFamily,
)
from .rows import MODEL_CARDS
from .tasks import CODE_TASK_NAMES, TASK_NAMES

__all__ = [
    "CODE_TASK_NAMES",
    "MODEL_CARDS",
    "TASK_NAMES",
    "LateChunkingDefaults",
    "ModelCard",
    "Pooling",
    "ServiceScheme",
    "TaskScheme",
    "TokenizerFamily",
]
