"""What adapters of frameworks share: settings as fields, and late chunking of their documents."""

import inspect
import pickle
import warnings

import numpy as np
import pytest

from jina_integrations import ApiSettings, Document, Embedder, MarkdownChunker
from jina_integrations.adapting import (
    EmbedderFields,
    Job,
    PieceChunker,
    alate_chunk,
    cut,
    embedder_of,
    late_chunk,
    with_text,
)
from jina_integrations.errors import (
    ApiConnectionError,
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
    InvalidTextError,
    MissingKeyError,
    TextTooLongError,
)
from jina_integrations.ingestion import stages
from jina_integrations.settings import EmbedderOptions, EmbedderSettings

SETTINGS = EmbedderSettings.model_fields
ECHO = Embedder("echo", dimensions=32)
LINES = PieceChunker(str.splitlines, "lines")


class TestFields:
    @pytest.fixture
    def held(self):
        embedder = Embedder("echo", api_key="a-secret-key", dimensions=64, api=ApiSettings())
        return EmbedderFields(embedder)

    def test_every_setting_is_one(self, held):
        assert EmbedderFields.model_fields.keys() == SETTINGS.keys()
        assert {*EmbedderOptions.__annotations__, "model"} == SETTINGS.keys()
        assert inspect.signature(Embedder).parameters.keys() == {
            "model",
            "api_key",
            "on_usage",
            "options",
        }
        assert held.model_dump() == held.embedder.to_dict()
        assert held.api == ApiSettings()
        assert held == EmbedderFields(Embedder("echo", dimensions=64, api=ApiSettings()))
        assert held != EmbedderFields(Embedder("echo", dimensions=32, api=ApiSettings()))

    def test_the_key_is_nowhere(self, held):
        assert "a-secret-key" not in repr(held) + str(held.model_dump()) + held.model_dump_json()
        assert b"a-secret-key" not in pickle.dumps(held)
        assert pickle.loads(pickle.dumps(held)) == held

    @pytest.mark.parametrize("name", SETTINGS)
    def test_none_can_drift_from_the_embedder(self, held, name):
        with pytest.raises(
            InvalidSettingError, match=f"^{name} cannot be changed.*construct a new"
        ):
            setattr(held, name, None)
        with pytest.raises(
            InvalidSettingError, match=f"^{name} cannot be changed.*construct a new"
        ):
            held.model_copy(update={name: None})
        assert held.model_copy() == held

    def test_settings_beside_a_ready_embedder_are_refused(self):
        says = r"^You passed an Embedder and dimensions, api_key\. Pass dimensions, api_key to Emb"
        with pytest.raises(InvalidSettingError, match=says):
            embedder_of(ECHO, {"dimensions": 64}, api_key="a-secret-key")
        assert embedder_of(ECHO, {}, api_key=None) is ECHO

    def test_a_named_variable_is_the_only_one_that_is_read(self, monkeypatch):
        monkeypatch.setenv("JINA_API_KEY", "another")
        api = ApiSettings(api_key_env_var="TEAM_KEY")
        embedder = Embedder("jina-embeddings-v3", api=api)
        assert embedder.backend == "api"
        with pytest.raises(MissingKeyError, match="TEAM_KEY holds no key"):
            embedder.embed_queries(["Is there bread left?"])


class TestWithText:
    def test_positions_are_the_callers(self):
        with pytest.warns(UserWarning, match=r"documents\[1\], documents\[3\]$"):
            assert list(with_text(["a", "", "b", " \n"], text_of=str)) == [(0, "a"), (2, "b")]

    def test_it_is_lazy_and_quiet_where_there_is_nothing_to_say(self):
        taken = []
        documents = (taken.append(number) or str(number) for number in range(9))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert next(with_text(documents, text_of=str)) == (0, "0")
            assert taken == [0]
            assert len(list(with_text(documents, text_of=str))) == 8


class TestPieces:
    def test_they_are_found_where_they_were_cut(self):
        text = "again\n\nagain\nand again"
        assert LINES.spans(text.replace("\n\n", "\n"), ECHO.tokenizer) == [
            (0, 5),
            (6, 11),
            (12, 21),
        ]

    def test_what_is_no_text_or_changed_is_refused(self):
        with pytest.raises(InvalidSpanError, match="piece 0 is a int and no str"):
            PieceChunker(lambda text: [len(text)], "lengths").spans("a", ECHO.tokenizer)
        with pytest.raises(InvalidSpanError, match="the splitter has changed it"):
            PieceChunker(lambda text: [text.upper()], "upper").spans("a", ECHO.tokenizer)


class TestLateChunk:
    TEXT = "The bakery opens at six.\nIt closes early.\nThe baker sleeps."

    def numbered(self, *texts, first=3):
        return [(first + n, Document(f"d{n}", text)) for n, text in enumerate(texts)]

    async def test_vectors_are_the_embedders_also_asynchronously(self):
        chunked = cut(Job(ECHO, LINES), self.numbered(self.TEXT, "One line."))
        assert [item.index for item in chunked] == [3, 4]
        vectors = late_chunk(chunked, embedder=ECHO)
        for item, rows, others in zip(
            chunked, vectors, await alate_chunk(chunked, embedder=ECHO), strict=True
        ):
            spans = [(chunk.start, chunk.end) for chunk in item.chunks]
            np.testing.assert_array_equal(rows, ECHO.embed_chunks(item.document.text, spans))
            np.testing.assert_array_equal(rows, others)

    async def test_each_chunk_by_itself(self):
        chunked = cut(Job(ECHO, LINES), self.numbered(self.TEXT, "One line."))
        options = {"embedder": ECHO, "late_chunking": False}
        expected = ECHO.embed_documents([*self.TEXT.splitlines(), "One line."])
        for vectors in (late_chunk(chunked, **options), await alate_chunk(chunked, **options)):
            assert [len(rows) for rows in vectors] == [3, 1]
            np.testing.assert_array_equal(np.concatenate(vectors), expected)

    @pytest.mark.parametrize("late_chunking", [True, False])
    @pytest.mark.parametrize("heading_context", [True, False])
    async def test_it_is_what_an_ingestion_does(self, late_chunking, heading_context):
        text = "# Town\n\nIt is small.\n\n## Bakery\n\nIt opens at six and closes early.\n"
        job = Job(ECHO, MarkdownChunker(12), heading_context, late_chunking=late_chunking)
        document = Document("town.md", text, {"title": "Guide"})
        chunked, _ = stages.chunk(job, [(document, job.recipe.version(document))])
        (records,) = stages.embed(job, chunked).documents
        (item,) = cut(job, [(0, document)])
        assert list(item.chunks) == [record.chunk for record in records]
        assert {record.version for record in records} == {item.version}
        options = {
            "embedder": ECHO,
            "heading_context": heading_context,
            "late_chunking": late_chunking,
        }
        expected = [record.vectors.dense for record in records]
        np.testing.assert_array_equal(late_chunk([item], **options)[0], expected)
        np.testing.assert_array_equal((await alate_chunk([item], **options))[0], expected)

    def test_late_chunking_is_part_of_the_version(self):
        document = Document("a", "text")
        versions = {
            Job(Embedder("echo", **options), LINES, late_chunking=late).recipe.version(document)
            for options in ({}, {"context_weight": 0.5}, {"window_tokens": 64})
            for late in (True, False)
        }
        assert len(versions) == 4  # without late chunking neither weight nor windows are in use

    def test_nothing_in_nothing_out(self):
        assert late_chunk(cut(Job(ECHO, LINES), []), embedder=ECHO) == []


class TestErrors:
    """They carry the caller's position, and a note with the id."""

    def documents(self, *texts):
        return [(n * 10, Document(f"d{n}", text)) for n, text in enumerate(texts)]

    def test_of_cutting(self):
        upper = PieceChunker(lambda text: [text.upper()], "upper")
        with pytest.raises(InvalidSpanError, match=r"^documents\[10\] cut by upper: piece 0") as e:
            cut(Job(ECHO, upper), self.documents("UP", "low"))
        assert (e.value.index, e.value.__notes__) == (10, ["documents[10] is 'd1'"])

    def test_of_a_chunkers_settings_blame_no_document(self):
        with pytest.raises(InvalidSettingError) as caught:
            cut(
                Job(Embedder("minilm"), MarkdownChunker(1)),
                self.documents("some words", "more words"),
            )
        assert caught.value.index is None

    @pytest.mark.parametrize("form", ["sync", "async"])
    async def test_of_embedding(self, form):
        chunked = cut(Job(ECHO, LINES), self.documents("fine", "a\0b"))
        with pytest.raises(InvalidTextError, match=r"^documents\[10\] has a NUL") as caught:
            late_chunk(chunked, embedder=ECHO) if form == "sync" else await alate_chunk(
                chunked, embedder=ECHO
            )
        assert (caught.value.index, caught.value.__notes__) == (10, ["documents[10] is 'd1'"])

    @pytest.mark.parametrize("late_chunking", [True, False])
    def test_of_a_chunk_name_the_chunk(self, late_chunking):
        minilm = Embedder("minilm", context_weight=0.5)
        chunked = cut(Job(minilm, LINES), self.documents("fine", "a\nb\n" + "word " * 400))
        with pytest.raises(TextTooLongError, match=r"^spans\[2\] of documents\[10\] ") as caught:
            late_chunk(chunked, embedder=minilm, late_chunking=late_chunking)
        assert (caught.value.index, caught.value.span) == (10, 2)

    def test_of_a_service_blame_no_document(self):
        embedder = Embedder(
            "jina-embeddings-v3",
            base_url="http://127.0.0.1:9/v1",  # "discard": nobody listens
            api_key="a-key",
            api=ApiSettings(max_retries=0),
        )
        chunked = cut(Job(embedder, LINES), self.documents("fine"))
        with pytest.raises(ApiConnectionError) as caught:
            late_chunk(chunked, embedder=embedder)
        assert caught.value.index is None
        assert not hasattr(caught.value, "__notes__")

    def test_no_chunk_at_all(self):
        nothing = PieceChunker(lambda text: [], "nothing")
        with pytest.raises(InvalidInputError, match=r"^documents\[0\] cut by nothing: .*no chunk"):
            cut(Job(ECHO, nothing), self.documents("text"))
