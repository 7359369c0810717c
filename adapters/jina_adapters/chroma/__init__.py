"""Chunks in Chroma, and its collections' embedding: ``pip install "jina-integrations[chroma]"``.

::

    chroma:./index#handbook                   a folder
    chroma+http://localhost:8000/handbook     a server (``chroma run``); a key in CHROMA_API_KEY

Records are laid out as langchain-chroma reads them; see ``docs/stores.md``.
"""

from importlib.util import find_spec

from jina_integrations.errors import MissingExtraError

if find_spec("chromadb") is None:
    raise MissingExtraError("The Chroma store", "chroma")

from .embedding_function import JinaIntegrationsEmbeddingFunction
from .store import ChromaStore

__all__ = ["ChromaStore", "JinaIntegrationsEmbeddingFunction"]
