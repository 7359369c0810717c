"""Deterministic names for what goes into a store.

The same document with the same settings always gets the same version and the same chunk ids, so a
second run finds what the first one wrote, and a changed document never overwrites its old chunks
before the new ones are complete.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping

from .types import Document

__all__ = ["chunk_id", "document_version", "fingerprint"]

_NAMESPACE = uuid.UUID("6f0a3f0e-52a4-5c0b-9d58-2f6a1f5a7c11")
"""A random constant, fixed for good: every stored chunk id depends on it."""


def fingerprint(settings: Mapping[str, object]) -> str:
    """Hex hash (128 bits of SHA-256) of a mapping of JSON values; key order is irrelevant."""
    canonical = json.dumps(settings, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:32]


def document_version(
    document: Document, *, chunker: Mapping[str, object], embedder_fingerprint: str
) -> str:
    """Hex hash of everything that decides a document's chunks, payloads and vectors."""
    return fingerprint(
        {
            "id": document.id,
            "text": hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest(),
            "metadata": dict(document.metadata),
            "chunker": dict(chunker),
            "embedder": embedder_fingerprint,
        }
    )


def chunk_id(document_id: str, version: str, index: int) -> str:
    """UUIDv5 of document id, version and chunk index (RFC 9562, section 5.5), as text."""
    return str(uuid.uuid5(_NAMESPACE, f"{version}:{index}:{document_id}"))
