"""Fixtures shared by all tests."""

from __future__ import annotations

import inspect
import os
import re
import tempfile

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
_cache = tempfile.TemporaryDirectory()  # removed at the end of the process
os.environ.setdefault("JINA_INTEGRATIONS_CACHE", _cache.name)
for key in ("JINA_API_KEY", "JINAAI_API_KEY"):  # with one, "auto" would be the API
    os.environ.pop(key, None)

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def language_reference() -> str:
    """Real running text: Python's language reference, about 700,000 characters."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    return "\n\n".join(inspect.cleandoc(topics[name]) for name in sorted(topics))


@pytest.fixture(scope="session")
def passages(language_reference: str) -> list[str]:
    """500 real passages of 1 to about 250 tokens."""
    words = list(re.finditer(r"\S+", language_reference))
    cut: list[str] = []
    at = 0
    for number in range(500):
        length = 1 + (number * 37) % 90
        cut.append(language_reference[words[at].start() : words[at + length - 1].end()])
        at += length
    return cut
