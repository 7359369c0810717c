"""`late_chunk_documents`: whole documents in, chunks where they lie and their vectors out."""

import asyncio
import uuid

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document

from jina_adapters.langchain import JinaEmbeddings, alate_chunk_documents, late_chunk_documents
from jina_integrations import Embedder, MarkdownChunker, SentenceChunker
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
    InvalidTextError,
    LateChunkingUnsupportedError,
)

splitters = pytest.importorskip("langchain_text_splitters")

BAKERY = """# The bakery

The bakery opens at six. On Sundays it stays closed.

## Bread

Its rye bread is baked twice a week. The rye bread is gone by noon. The rye bread is gone by noon.
What is left over goes to the zoo, where the elephants like it.

## Cakes

Ask for them a day before. The plum cake is made in autumn alone: naïve façade, 面包 and \
\N{BREAD} included.
"""
LIGHTHOUSE = """The lamp was lit at dusk.  The keeper counted ships, and wrote them down one by one.

The lamp was lit at dusk.  Nobody came up the stairs but the cat, who slept beside the warm glass.

At dawn the lamp went out by itself. The keeper had left no oil, and no note for those after him.
"""


@pytest.fixture
def embeddings():
    return JinaEmbeddings("echo", dimensions=64)


def words(text):
    return len(text.split())


class WordSplitter(splitters.TextSplitter):
    """Cuts every so many words, and overlaps by words: `TokenTextSplitter` without tiktoken."""

    class Words:
        def encode(self, text):
            return text.split()

    def __init__(self, **settings):
        super().__init__(**settings)
        self._tokenizer = self.Words()

    def split_text(self, text):
        starts = [
            start
            for start in range(len(text))
            if text[start].strip() and not text[start - 1 : start].strip()
        ]
        ends = [*starts[1:], len(text)]
        step = self._chunk_size - self._chunk_overlap
        return [
            text[starts[first] : ends[min(first + self._chunk_size, len(ends)) - 1]]
            for first in range(0, len(starts), step)
        ]


CUTTING = {
    "recursive": splitters.RecursiveCharacterTextSplitter(chunk_size=80, chunk_overlap=30),
    "recursive by tokens": splitters.RecursiveCharacterTextSplitter(
        chunk_size=15, chunk_overlap=6, length_function=words
    ),
    "characters, separators dropped": splitters.CharacterTextSplitter(
        separator="\n\n", chunk_size=90, chunk_overlap=0
    ),
    "characters, separators kept": splitters.CharacterTextSplitter(
        separator=". ",
        is_separator_regex=False,
        keep_separator="end",
        chunk_size=60,
        chunk_overlap=0,
    ),
    "whitespace kept": splitters.RecursiveCharacterTextSplitter(
        chunk_size=80, chunk_overlap=0, strip_whitespace=False
    ),
    "markdown": splitters.MarkdownTextSplitter(chunk_size=100, chunk_overlap=0),
    "tokens": WordSplitter(chunk_size=12, chunk_overlap=4),
    "our sentences": SentenceChunker(max_tokens=16),
}


class TestChunks:
    @pytest.mark.parametrize("splitter", CUTTING.values(), ids=CUTTING)
    def test_they_are_the_splitters_where_they_lie_and_their_vectors_the_embedders(
        self, splitter, embeddings
    ):
        texts = [BAKERY, LIGHTHOUSE]
        documents = [Document(text, id=name) for name, text in zip("ab", texts, strict=True)]
        late = late_chunk_documents(documents, splitter=splitter, embeddings=embeddings)

        done = 0
        for name, text in zip("ab", texts, strict=True):
            chunks = [chunk for chunk in late.documents if chunk.metadata["document_id"] == name]
            spans = []
            for index, chunk in enumerate(chunks):
                start = chunk.metadata["start_index"]
                spans.append((start, start + len(chunk.page_content)))
                assert text[slice(*spans[-1])] == chunk.page_content
                assert chunk.metadata["chunk_index"] == index
                assert chunk.metadata["chunk_count"] == len(chunks)
            assert spans == sorted(set(spans))
            if not isinstance(splitter, SentenceChunker):
                assert [chunk.page_content for chunk in chunks] == splitter.split_text(text)
            assert len(chunks) > 1
            expected = embeddings.embedder.embed_chunks(text, spans)
            np.testing.assert_allclose(late.vectors[done : done + len(chunks)], expected, atol=1e-6)
            done += len(chunks)
        assert done == len(late.vectors) == len(late.documents)

    def test_an_overlap_in_tokens_puts_repeated_text_where_it_was_cut(self, embeddings):
        text = " ".join(["the same words again"] * 12)
        splitter = WordSplitter(chunk_size=8, chunk_overlap=4)
        late = late_chunk_documents([Document(text)], splitter=splitter, embeddings=embeddings)
        period = len("the same words again ")
        starts = [chunk.metadata["start_index"] for chunk in late.documents]
        assert starts == [period * number for number in range(12)]

    @pytest.mark.parametrize("overlap", [0, 1, 2])
    def test_repeated_text_is_where_an_overlap_by_the_splitters_measure_puts_it(
        self, embeddings, overlap
    ):
        text = " ".join(["again"] * 12)
        splitter = splitters.CharacterTextSplitter(
            separator=" ", chunk_size=3, chunk_overlap=overlap, length_function=words
        )
        late = late_chunk_documents([Document(text)], splitter=splitter, embeddings=embeddings)
        starts = [chunk.metadata["start_index"] for chunk in late.documents]
        assert starts == [len("again ") * word for word in range(0, 12 - overlap, 3 - overlap)]

    def test_positions_are_right_where_langchains_own_are_not(self, embeddings):
        settings = {"chunk_size": 8, "chunk_overlap": 6, "length_function": words}
        splitter = splitters.RecursiveCharacterTextSplitter(
            separators=[" "], add_start_index=True, **settings
        )
        theirs = [chunk.metadata["start_index"] for chunk in splitter.create_documents([BAKERY])]
        late = late_chunk_documents([Document(BAKERY)], splitter=splitter, embeddings=embeddings)
        starts = [chunk.metadata["start_index"] for chunk in late.documents]
        assert -1 in theirs
        assert all(
            BAKERY[start:].startswith(c.page_content)
            for start, c in zip(starts, late.documents, strict=True)
        )
        assert starts == sorted(set(starts))

    def test_local_vectors_are_those_of_the_whole_document(self):
        embeddings = JinaEmbeddings("minilm")
        splitter = CUTTING["recursive"]
        documents = [Document(BAKERY), Document(LIGHTHOUSE)]
        late = late_chunk_documents(documents, splitter=splitter, embeddings=embeddings)
        both = embeddings.embed_documents([chunk.page_content for chunk in late.documents])
        assert np.all(np.sum(late.vectors * np.array(both), axis=1) < 0.999)
        alone = late_chunk_documents(documents[1:], splitter=splitter, embeddings=embeddings)
        np.testing.assert_allclose(late.vectors[-len(alone.vectors) :], alone.vectors, atol=1e-6)

    async def test_the_async_twin_gives_the_same(self, embeddings):
        documents = [Document(BAKERY), Document(LIGHTHOUSE)]
        options = {"splitter": CUTTING["recursive"], "embeddings": embeddings}
        late, other = await asyncio.gather(
            alate_chunk_documents(documents, **options), alate_chunk_documents(documents, **options)
        )
        blocking = late_chunk_documents(documents, **options)
        assert late.documents == other.documents == blocking.documents
        np.testing.assert_array_equal(late.vectors, blocking.vectors)

    def test_no_documents_no_chunks(self, embeddings):
        late = late_chunk_documents([], splitter=CUTTING["recursive"], embeddings=embeddings)
        assert (late.documents, late.vectors.shape) == ([], (0, 64))

    def test_metadata_are_a_copy_of_the_documents(self, embeddings):
        document = Document(LIGHTHOUSE, id="a", metadata={"tags": ["sea"], "page": 3})
        splitter = CUTTING["recursive by tokens"]
        late = late_chunk_documents([document], splitter=splitter, embeddings=embeddings)
        late.documents[0].metadata["tags"].append("storm")
        assert late.documents[1].metadata["tags"] == document.metadata["tags"] == ["sea"]
        assert document.metadata.keys() == {"tags", "page"}
        assert document.id == "a"
        assert late.documents[1].metadata["page"] == 3

    async def test_documents_without_text_are_skipped_and_named(self, embeddings):
        documents = [Document(""), Document(BAKERY), Document(" \n"), *[Document("")] * 5]
        options = {"splitter": CUTTING["recursive"], "embeddings": embeddings}
        says = r"^skipped without text: documents\[0\], .*, documents\[5\] and 2 more$"
        with pytest.warns(UserWarning, match=says):
            late = late_chunk_documents(documents, **options)
        with pytest.warns(UserWarning, match=says):
            late_too = await alate_chunk_documents(documents, **options)
        assert late.documents == late_too.documents
        assert late.documents == late_chunk_documents([Document(BAKERY)], **options).documents

    def test_headings_and_titles_can_be_encoded_and_are_told(self, embeddings):
        document = Document(BAKERY, id="a", metadata={"title": "Guide"})
        options = {"splitter": MarkdownChunker(32), "embeddings": embeddings}
        plain = late_chunk_documents([document], **options)
        late = late_chunk_documents([document], heading_context=True, **options)
        assert [c.page_content for c in late.documents] == [c.page_content for c in plain.documents]
        assert late.documents[-1].metadata["headings"] == ["The bakery", "Cakes"]
        assert not np.allclose(late.vectors, plain.vectors)
        # The reference: each chunk's context put in front of it, and embedded with it.
        encoded, spans, done = "", [], 0
        for chunk in late.documents:
            start = chunk.metadata["start_index"]
            end = start + len(chunk.page_content)
            titles = ["Guide", *chunk.metadata["headings"]]
            if chunk.page_content.lstrip("# ").startswith(titles[-1]):
                titles.pop()
            encoded += BAKERY[done:start]
            begin = len(encoded)
            encoded += " > ".join(titles) + "\n" + chunk.page_content
            spans.append((begin, len(encoded)))
            done = end
        expected = embeddings.embedder.embed_chunks(encoded + BAKERY[done:], spans)
        np.testing.assert_allclose(late.vectors, expected, atol=1e-6)


class TestIdentity:
    def chunks(self, embeddings, *documents):
        splitter = CUTTING["recursive"]
        return late_chunk_documents(documents, splitter=splitter, embeddings=embeddings).documents

    def test_chunk_ids_follow_from_the_documents_id_and_the_index(self, embeddings):
        first = self.chunks(embeddings, Document(BAKERY, id="a"))
        edited = self.chunks(embeddings, Document("New. " + BAKERY, id="a", metadata={"page": 3}))
        common = min(len(first), len(edited))
        assert [c.id for c in first[:common]] == [c.id for c in edited[:common]]
        assert {uuid.UUID(chunk.id).version for chunk in first} == {5}
        other = self.chunks(embeddings, Document(BAKERY, id="b"))
        assert not {chunk.id for chunk in first} & {chunk.id for chunk in other}

    def test_the_id_is_the_documents_own_then_its_metadatas_then_a_hash(self, embeddings):
        named = [
            Document(BAKERY, id="a"),
            Document(BAKERY, metadata={"document_id": "b"}),
            Document(BAKERY, id="c", metadata={"document_id": "c"}),
            Document(BAKERY),
            Document(BAKERY, metadata={"page": 1}),
        ]
        ids = list(
            dict.fromkeys(c.metadata["document_id"] for c in self.chunks(embeddings, *named))
        )
        again = self.chunks(embeddings, Document(BAKERY))[0].metadata["document_id"]
        assert ids[:3] == ["a", "b", "c"]
        assert len(set(ids)) == 5
        assert ids[3] == again

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            (
                Document("x", id="a", metadata={"document_id": "b"}),
                "id 'a' and 'b' as the document_id",
            ),
            (Document("x", metadata={"document_id": 5}), "make them equal strings"),
            (
                Document("x", metadata={"chunk_index": 0}),
                r"\['chunk_index'\] in its metadata.*whole",
            ),
            (Document("x", metadata={"day": object()}), "not JSON.*set Document.id"),
            (Document("x", id=" "), r"id of documents\[1\].*only whitespace"),
            (Document("more", id="first"), r"documents\[0\] and documents\[1\].*same id 'first'"),
            ("a text", "must be a langchain_core Document, not str"),
        ],
    )
    def test_what_has_no_clear_id_is_refused_by_its_index(self, embeddings, document, message):
        with pytest.raises(InvalidInputError, match=message) as caught:
            self.chunks(embeddings, Document("first", id="first"), document)
        assert caught.value.index == 1

    def test_a_single_document_is_no_list_of_them(self, embeddings):
        with pytest.raises(InvalidInputError, match="wrap it in a list"):
            late_chunk_documents(
                Document("x"), splitter=CUTTING["recursive"], embeddings=embeddings
            )


class TestRefusals:
    def test_a_text_that_cannot_be_embedded(self, embeddings):
        documents = [Document(BAKERY), Document(""), Document("a\0b")]
        with pytest.raises(InvalidTextError, match=r"^documents\[2\] has a NUL") as caught:
            late_chunk_documents(documents, splitter=CUTTING["recursive"], embeddings=embeddings)
        assert caught.value.index == 2

    @pytest.mark.parametrize(
        "change", [lambda text: text.replace("The", "A"), lambda text: text.replace(" ", "  ")]
    )
    def test_a_splitter_that_changes_the_text(self, embeddings, change):
        class Changing(splitters.RecursiveCharacterTextSplitter):
            def split_text(self, text):
                return [change(piece) for piece in super().split_text(text)]

        with pytest.raises(InvalidSpanError, match="the splitter has changed it") as caught:
            late_chunk_documents(
                [Document("word"), Document(BAKERY)],
                splitter=Changing(chunk_size=60, chunk_overlap=0),
                embeddings=embeddings,
            )
        assert caught.value.index == 1

    def test_a_splitter_that_gives_no_texts(self, embeddings):
        headers = splitters.MarkdownHeaderTextSplitter([("#", "title")])
        with pytest.raises(InvalidSpanError, match=r"documents\[0\].*is a Document and no str"):
            late_chunk_documents([Document(BAKERY)], splitter=headers, embeddings=embeddings)

    def test_what_is_no_splitter_or_no_embeddings_of_ours(self, embeddings):
        with pytest.raises(InvalidInputError, match=r"must be a TextSplitter.*not function"):
            late_chunk_documents([], splitter=words, embeddings=embeddings)
        with pytest.raises(InvalidInputError, match="must be JinaEmbeddings, not Embedder"):
            late_chunk_documents([], splitter=CUTTING["recursive"], embeddings=embeddings.embedder)

    async def test_an_embedder_in_which_it_is_switched_off(self):
        options = {
            "splitter": CUTTING["recursive"],
            "embeddings": JinaEmbeddings(Embedder("echo", late_chunking=False)),
        }
        with pytest.raises(InvalidSettingError, match="late_chunking=False is set"):
            late_chunk_documents([Document(BAKERY)], **options)
        with pytest.raises(InvalidSettingError, match="late_chunking=False is set"):
            await alate_chunk_documents([Document(BAKERY)], **options)

    def test_a_model_that_cannot(self):
        embeddings = JinaEmbeddings("jina-embeddings-v5-text-small", backend="api", api_key="k")
        with pytest.raises(LateChunkingUnsupportedError, match="use embed_documents"):
            late_chunk_documents(
                [Document(BAKERY)], splitter=CUTTING["recursive"], embeddings=embeddings
            )
