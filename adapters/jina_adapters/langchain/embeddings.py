"""LangChain's `Embeddings`, by an `Embedder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Never, Unpack

from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from jina_integrations import Embedder
from jina_integrations.adapting import EmbedderFields, embedder_of, warn_once
from jina_integrations.errors import InvalidSettingError
from jina_integrations.settings import EmbedderOptions
from jina_integrations.types import FloatArray

from .prepared import prepared_for

__all__ = ["JinaEmbeddings"]

_COMMUNITY_DEFAULT: Final = "jina-embeddings-v2-base-en"
"""``model_name`` of ``langchain_community.embeddings.JinaEmbeddings``."""

_NO_LATE_CHUNKING: Final = (
    "a list of texts does not say which document a text is from, so late chunking cannot be right "
    "in it: use add_late_chunks(store, documents, splitter=…), which writes whole documents into a "
    "store, or late_chunk_documents(documents, splitter=…, embeddings=…)"
)

_COMMUNITY_NAMES: Final = (
    "model_name and jina_api_key are the names of langchain_community's JinaEmbeddings, and work "
    "here as model and api_key do. That class sends no task, so queries and passages are embedded "
    "alike; here each is embedded for its own. Vectors that it stored from jina-embeddings-v3 or a "
    "later model must therefore be made anew."
)


class JinaEmbeddings(EmbedderFields, Embeddings):
    """LangChain embeddings: documents are passages, queries are queries.

    Its fields are the settings of its `Embedder`, and cannot be assigned. It compares and pickles
    by them; no key is among them. ``JinaEmbeddings(embedder).embedder.usage`` says what was spent.

    Args:
        model: An `Embedder`, or the model of one; None is langchain-community's default,
            ``"jina-embeddings-v2-base-en"``.
        api_key: The key of Jina's API; None takes ``JINA_API_KEY``. In no field, dump or pickle.
        model_name: Of langchain-community's class: `model`. Says once what is put right here.
        jina_api_key: Of langchain-community's class: `api_key`.

    It also takes the other settings of an `Embedder` by name, though none beside a ready one.
    `context_weight`, `window_tokens` and `overlap_tokens` are those of `add_late_chunks` and
    `late_chunk_documents`.

    Raises:
        InvalidSettingError: a setting is unknown, out of range, given twice, or asks for
            late chunking, which `embed_documents` cannot do.
    """

    def __init__(
        self,
        model: str | Embedder | None = None,
        *,
        api_key: str | SecretStr | None = None,
        model_name: str | None = None,
        jina_api_key: str | SecretStr | None = None,
        **options: Unpack[EmbedderOptions],
    ) -> None:
        if model_name is not None or jina_api_key is not None:
            warn_once(_COMMUNITY_NAMES, stacklevel=3)
        _refuse_two(model, model_name, names="model and model_name")
        _refuse_two(api_key, jina_api_key, names="api_key and jina_api_key")
        if "session" in options:
            raise InvalidSettingError(
                "session belongs to langchain_community's JinaEmbeddings: leave it out, since "
                "connections are shared anyway; timeouts are in api=ApiSettings(...)"
            )
        if options.get("late_chunking"):
            raise InvalidSettingError(f"late_chunking=True: {_NO_LATE_CHUNKING}")
        if model is None:
            model = _COMMUNITY_DEFAULT if model_name is None else model_name
        api_key = jina_api_key if api_key is None else api_key
        super().__init__(embedder_of(model, options, api_key=api_key))

    @property
    def model_name(self) -> str:
        """The model, by langchain-community's name."""
        return self.model

    def embed_documents(self, texts: list[str], **options: Never) -> list[list[float]]:
        """Vectors of passages, in order; lists of Python floats.

        Raises:
            InvalidSettingError: any option, such as ``late_chunking``; the message says what to
                use.
            JinaIntegrationsError: see `Embedder.embed_documents`.
        """
        _refuse(options)
        prepared = prepared_for(self)
        if prepared is not None:
            return prepared.take(texts)
        return _floats(self.embedder.embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query.

        Raises:
            JinaIntegrationsError: see `Embedder.embed_queries`.
        """
        return _floats(self.embedder.embed_queries([text]))[0]

    def embed_images(self, uris: list[str]) -> list[list[float]]:
        """Vectors of pictures, for models that take them: paths, or http, https and data URLs.

        Raises:
            JinaIntegrationsError: see `Embedder.embed_images`.
        """
        return _floats(self.embedder.embed_images(uris))

    async def aembed_documents(self, texts: list[str], **options: Never) -> list[list[float]]:
        """`embed_documents`, without blocking the event loop."""
        _refuse(options)
        prepared = prepared_for(self)
        if prepared is not None:
            return prepared.take(texts)
        return _floats(await self.embedder.aembed_documents(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, without blocking the event loop."""
        return _floats(await self.embedder.aembed_queries([text]))[0]

    async def aembed_images(self, uris: list[str]) -> list[list[float]]:
        """`embed_images`, without blocking the event loop."""
        return _floats(await self.embedder.aembed_images(uris))


def _refuse(options: Mapping[str, object]) -> None:
    if options:
        raise InvalidSettingError(
            f"embed_documents takes texts and nothing else, not {sorted(options)}. Settings of "
            f"the model belong to the constructor. For late chunking, {_NO_LATE_CHUNKING}"
        )


def _refuse_two(value: object, alias: object, *, names: str) -> None:
    if value is not None and alias is not None:
        raise InvalidSettingError(f"{names} are the same setting: give one of them")


def _floats(rows: FloatArray) -> list[list[float]]:
    floats: list[list[float]] = rows.tolist()
    return floats
