"""`JinaMultiModalEmbedding`: pictures beside texts."""

from __future__ import annotations

from io import BytesIO

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("PIL")

from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.schema import ImageNode, TextNode
from PIL import Image

from jina_adapters.llama_index import JinaMultiModalEmbedding
from jina_integrations import Embedder
from jina_integrations.errors import InvalidImageError, UnsupportedModalityError


@pytest.fixture
def pictures(tmp_path):
    """Paths of three one-coloured pictures."""
    paths = []
    for colour in ("red", "green", "blue"):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (8, 8), colour).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def model():
    return JinaMultiModalEmbedding("echo", dimensions=64, embed_batch_size=2)


async def test_every_form_gives_the_embedders_vectors_as_plain_floats(model, pictures):
    expected = Embedder("echo", dimensions=64).embed_images(pictures).tolist()
    assert model.get_image_embedding_batch(pictures) == expected
    assert await model.aget_image_embedding_batch(pictures) == expected
    assert [model.get_image_embedding(path) for path in pictures] == expected
    assert [await model.aget_image_embedding(path) for path in pictures] == expected
    assert {type(value) for value in model.get_image_embedding(pictures[0])} == {float}


async def test_a_buffer_is_the_picture_in_it_wherever_it_was_read_to(model, pictures):
    with open(pictures[0], "rb") as file:  # noqa: PTH123
        buffer = BytesIO(file.read())
    buffer.seek(0, 2)
    expected = model.get_image_embedding(pictures[0])
    assert model.get_image_embedding(buffer) == expected
    assert await model.aget_image_embedding(buffer) == expected


def test_a_url_is_handed_over_unfetched(model):
    url = "https://example.com/a.png"
    assert model.get_image_embedding(url) == model.embedder.embed_images([url])[0].tolist()


def test_texts_are_those_of_the_other_class(model):
    assert model.get_text_embedding("a") == model.embedder.embed_documents(["a"])[0].tolist()
    assert JinaMultiModalEmbedding.from_dict(model.to_dict()).to_dict() == model.to_dict()
    assert model.to_payload()["class_name"] == "JinaMultiModalEmbedding"


async def test_a_model_without_pictures_says_so(pictures):
    model = JinaMultiModalEmbedding("minilm")
    with pytest.raises(UnsupportedModalityError, match="minilm"):
        model.get_image_embedding(pictures[0])
    with pytest.raises(UnsupportedModalityError, match="minilm"):
        await model.aget_image_embedding_batch(pictures)


def test_what_is_no_picture_says_so(model, tmp_path):
    with pytest.raises(InvalidImageError, match="No such file"):
        model.get_image_embedding(str(tmp_path / "none.png"))


def test_an_index_of_texts_and_pictures_finds_a_picture_by_a_picture(model, pictures):
    nodes = [ImageNode(image_path=path, metadata={"file_path": path}) for path in pictures]
    index = MultiModalVectorStoreIndex(
        [*nodes, TextNode(text="a text")], embed_model=model, image_embed_model=model
    )
    retriever = index.as_retriever(image_similarity_top_k=1)
    [hit] = retriever.image_to_image_retrieve(pictures[1])
    assert hit.node.image_path == pictures[1]
    assert hit.score == pytest.approx(1.0, abs=1e-5)
