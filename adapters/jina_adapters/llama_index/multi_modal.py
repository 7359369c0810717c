"""LlamaIndex's embedding model for texts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.schema import ImageType

from jina_integrations.images import ImageSource

from .embedding import JinaEmbedding, to_lists

__all__ = ["JinaMultiModalEmbedding"]


class JinaMultiModalEmbedding(JinaEmbedding, MultiModalEmbedding):
    """`JinaEmbedding` for models that also take pictures, such as ``"jina-clip-v2"``.

    A picture is a path, an http, https or data URL, or a `BytesIO`, which is read from its start.
    Another model raises `UnsupportedModalityError` at the first picture.
    """

    @classmethod
    def class_name(cls) -> str:
        """``"JinaMultiModalEmbedding"``."""
        return "JinaMultiModalEmbedding"

    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return (await self._aget_image_embeddings([img_file_path]))[0]

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return to_lists(self.embedder.embed_images(_sources(img_file_paths)))

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return to_lists(await self.embedder.aembed_images(_sources(img_file_paths)))


def _sources(images: Sequence[ImageType]) -> list[ImageSource]:
    return [image.getvalue() if isinstance(image, BytesIO) else image for image in images]
