"""Which windows a document gets where nothing is said of them."""

from __future__ import annotations

import pytest

from jina_integrations.backends.windows import window_and_overlap
from jina_integrations.errors import InvalidSettingError
from jina_integrations.models import MODEL_CARDS
from jina_integrations.settings import EmbedderSettings


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("minilm", {}, (512, 256)),
        ("minilm", {"context_weight": 1.0}, (512, 256)),
        ("minilm", {"context_weight": 0.5}, (512, 64)),
        ("minilm", {"context_weight": 0.25, "window_tokens": 256}, (256, 32)),
        ("minilm", {"window_tokens": 100}, (100, 50)),
        ("minilm", {"context_weight": 0.5, "overlap_tokens": 200}, (512, 200)),
        ("jina-embeddings-v3", {}, (8192, 1024)),
        ("jina-embeddings-v3", {"context_weight": 0.5}, (8192, 1024)),
        ("jina-embeddings-v3", {"window_tokens": 1024}, (1024, 512)),
        ("jina-embeddings-v5-text-small", {"context_weight": 0.5}, (32768, 0)),
    ],
)
def test_default_windows(
    model: str, settings: dict[str, object], expected: tuple[int, int]
) -> None:
    asked = EmbedderSettings.model_validate({"model": model, **settings})
    assert window_and_overlap(MODEL_CARDS[model], asked) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_tokens": 513}, "window_tokens is 513, but the context of minilm is 512"),
        ({"overlap_tokens": 512}, "overlap_tokens is 512: it must be less than window_tokens, 512"),
    ],
)
def test_windows_that_cannot_be(settings: dict[str, object], message: str) -> None:
    asked = EmbedderSettings.model_validate({"model": "minilm", **settings})
    with pytest.raises(InvalidSettingError, match=message):
        window_and_overlap(MODEL_CARDS["minilm"], asked)
