"""Real weights from the Hugging Face hub against numbers of other libraries.

Off by default, because the network is: run with ``pytest -m hub``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from jina_integrations import Embedder
from jina_integrations.models import MODEL_CARDS
from jina_integrations.types import Task

pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = [pytest.mark.hub, pytest.mark.enable_socket, pytest.mark.timeout(1800)]

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures/canonical-vectors.json").read_text())
V2 = VECTORS["fastembed_v2"]["vectors"]
TEI = VECTORS["text_embeddings_inference"]["vectors"]
TASKS: dict[Task, str] = {
    "query": "retrieval.query",
    "passage": "retrieval.passage",
    "clustering": "separation",
    "classification": "classification",
    "text-matching": "text-matching",
}


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other tests are offline by an environment variable that was read at import."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def no_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card of jina-embeddings-v3 with its adapters, but without its text prefixes."""
    from jina_integrations.backends.local import model, source

    card = MODEL_CARDS["jina-embeddings-v3"]
    tasks = {task: replace(scheme, prefix="") for task, scheme in card.tasks.items()}
    bare = replace(card, tasks=MappingProxyType(tasks))
    monkeypatch.setattr(source, "MODEL_CARDS", {**MODEL_CARDS, card.id: bare})
    monkeypatch.setattr(model, "_models", {})  # one that is loaded would keep its own card


@pytest.mark.parametrize("name", V2)
def test_v2_gives_the_first_values_of_fastembed(name: str) -> None:
    (vector,) = Embedder(name, backend="local").embed_documents([VECTORS["fastembed_v2"]["text"]])
    np.testing.assert_allclose(vector[:5], V2[name], atol=1e-3)


@pytest.mark.parametrize("name", TEI)
def test_v2_gives_the_direction_of_text_embeddings_inference(name: str) -> None:
    text = VECTORS["text_embeddings_inference"]["text"]
    (vector,) = Embedder(name, backend="local").embed_documents([text])
    other = np.array(TEI[name])
    assert vector @ other / np.linalg.norm(other) > 0.9999


@pytest.mark.usefixtures("no_prefixes")
@pytest.mark.parametrize("task", TASKS)
def test_v3_gives_the_first_values_of_fastembed(task: Task) -> None:
    known = VECTORS["fastembed_v3"]
    vectors = Embedder("jina-embeddings-v3", backend="local").embed(known["texts"], task=task)
    np.testing.assert_allclose(vectors[:, :5], known["vectors"][TASKS[task]], atol=1e-3)
