"""`LateChunking`: whole documents in, the parser's nodes out, each with its own vector."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llama_index.core")

from llama_index.core import Document
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    HTMLNodeParser,
    MarkdownNodeParser,
    NodeParser,
    SemanticSplitterNodeParser,
    SentenceSplitter,
    SentenceWindowNodeParser,
    TokenTextSplitter,
)
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import MetadataMode, TextNode

from jina_adapters.llama_index import JinaEmbedding, LateChunking
from jina_adapters.llama_index.nodes import find_spans
from jina_integrations import (
    Embedder,
    MarkdownChunker,
    SentenceChunker,
    SpanChunker,
    TokenChunker,
)
from jina_integrations.errors import (
    InvalidInputError,
    InvalidSettingError,
    InvalidSpanError,
    InvalidTextError,
    LateChunkingUnsupportedError,
)

PARTS = [
    "# The harbour\n\nBread arrives at the harbour by boat. Yes. The keeper, who lives in the "
    "tower, writes down the weather. Yes. He has done so for forty years.\n",
    "## The bakery\n\nIt opens at six with rye bread. Yes.  It closes when nothing is left, and "
    "that is early. The baker sleeps in the afternoon. Yes. The weather is no concern of hers.\n",
    "## Émile’s 🥖 shop\n\nHe sells what the bakery makes, for one coin more. Nobody minds. Yes.\n",
]
ECHO = JinaEmbedding("echo", dimensions=64)
MINILM = JinaEmbedding("minilm", context_weight=0.5)


@pytest.fixture(scope="module")
def documents():
    return [
        Document(id_=f"d{n}", text="\n".join(PARTS[n:] + PARTS[:n]) * 2, metadata={"page": n})
        for n in range(3)
    ]


class Changing(NodeParser):
    """Gives what `change` makes of the text."""

    change: object

    def _parse_nodes(self, nodes, show_progress=False, **kwargs):
        return [
            node
            for document in nodes
            for node in build_nodes_from_splits(
                self.change(document.text), document, id_func=self.id_func
            )
        ]


PARSERS = {
    "sentences": lambda: SentenceSplitter(chunk_size=64, chunk_overlap=0),
    "overlapping sentences": lambda: SentenceSplitter(chunk_size=64, chunk_overlap=24),
    "tokens": lambda: TokenTextSplitter(chunk_size=64, chunk_overlap=8),
    "markdown": MarkdownNodeParser,
    "semantic": lambda: SemanticSplitterNodeParser(
        embed_model=ECHO, breakpoint_percentile_threshold=60
    ),
    "sentence windows": lambda: SentenceWindowNodeParser(window_size=1),
    "hierarchy": lambda: HierarchicalNodeParser.from_defaults(
        chunk_sizes=[128, 64], chunk_overlap=16
    ),
    "our sentences": lambda: SentenceChunker(24),
    "our overlapping sentences": lambda: SentenceChunker(24, overlap_sentences=1),
    "our tokens": lambda: TokenChunker(20),
    "our markdown": lambda: MarkdownChunker(20),
}


@pytest.fixture(params=PARSERS)
def splitter(request):
    return PARSERS[request.param]()


def shape(nodes):
    """What a parser decides of its nodes, without their random ids."""
    place = {node.node_id: number for number, node in enumerate(nodes)}
    return [
        {
            "text": node.text,
            "metadata": node.metadata,
            "source": node.ref_doc_id,
            "related": {
                str(kind): place.get(info.node_id, info.node_id)
                for kind, info in node.relationships.items()
                if not isinstance(info, list)
            },
            "children": [place[info.node_id] for info in node.child_nodes or []],
            "excluded": node.excluded_embed_metadata_keys,
        }
        for node in nodes
    ]


class TestNodes:
    def test_are_the_parsers_with_their_places_and_vectors(self, documents, splitter):
        nodes = LateChunking(embed_model=ECHO, splitter=splitter)(documents)

        by_id = {document.node_id: document for document in documents}
        assert {node.ref_doc_id for node in nodes} == by_id.keys()
        for node in nodes:
            document = by_id[node.ref_doc_id]
            span = (node.start_char_idx, node.end_char_idx)
            assert document.text[slice(*span)] == node.text
            assert node.metadata["page"] == document.metadata["page"]
            [expected] = ECHO.embedder.embed_chunks(document.text, [span]).tolist()
            assert node.embedding == expected
            assert {type(value) for value in node.embedding} == {float}

    @pytest.mark.parametrize("name", [name for name in PARSERS if not name.startswith("our")])
    def test_have_the_parsers_own_relationships_and_metadata(self, documents, name):
        splitter = PARSERS[name]()
        expected = [node for document in documents for node in splitter([document])]
        nodes = LateChunking(embed_model=ECHO, splitter=splitter)(documents)
        assert shape(nodes) == shape(expected)

    def test_of_a_chunker_are_where_it_cuts_and_know_their_neighbours(self, documents):
        chunker = SentenceChunker(24, overlap_sentences=1)
        nodes = LateChunking(embed_model=ECHO, splitter=chunker)(documents[:1])
        spans = chunker.spans(documents[0].text, ECHO.embedder.tokenizer)
        assert [(node.start_char_idx, node.end_char_idx) for node in nodes] == spans
        ids = [node.node_id for node in nodes]
        assert [node.next_node.node_id for node in nodes[:-1]] == ids[1:]
        assert [node.prev_node.node_id for node in nodes[1:]] == ids[:-1]
        assert nodes[0].prev_node is None
        assert nodes[-1].next_node is None
        assert {node.source_node.node_id for node in nodes} == {"d0"}

    def test_that_occur_twice_have_each_their_own_place(self):
        """LlamaIndex's search finds the second "Yes." inside "Yes. Indeed." and so on."""
        text = "Is it so? Yes it is.\n\nYes\n\nIs it so? Yes it is.\n\nYes"
        parser = SentenceWindowNodeParser(sentence_splitter=lambda text: text.split("\n\n"))
        nodes = LateChunking(embed_model=ECHO, splitter=parser)([Document(text=text)])
        assert [node.start_char_idx for node in nodes] == [0, 22, 27, 49]

    @given(st.lists(st.text("ab ", min_size=1).map(str.strip).filter(bool), min_size=1))
    def test_of_repetitive_text_are_where_the_parser_cut(self, lines):
        parser = Changing(change=str.splitlines)
        nodes = parser([Document(text="\n".join(lines))])
        ends = np.cumsum([len(line) + 1 for line in lines]) - 1
        expected = [(end - len(line), end) for line, end in zip(lines, ends, strict=True)]
        assert find_spans("\n".join(lines), nodes) == expected

    def test_leave_the_documents_alone(self, documents, splitter):
        before = [document.to_dict() for document in documents]
        LateChunking(embed_model=ECHO, splitter=splitter)(documents)
        assert [document.to_dict() for document in documents] == before

    async def test_are_the_same_asynchronously(self, documents, splitter):
        late = LateChunking(embed_model=ECHO, splitter=splitter)
        nodes, expected = await late.acall(documents), late(documents)
        assert shape(nodes) == shape(expected)
        assert [node.embedding for node in nodes] == [node.embedding for node in expected]

    def test_of_nothing_are_none(self):
        assert LateChunking(embed_model=ECHO, splitter=SentenceSplitter())([]) == []

    def test_also_come_from_whole_texts_that_are_text_nodes(self):
        [node] = LateChunking(embed_model=ECHO, splitter=SentenceSplitter())(
            [TextNode(id_="t", text="A whole text.")]
        )
        assert node.ref_doc_id == "t"


class TestVectors:
    def test_depend_on_the_document_alone(self, documents, monkeypatch):
        late = LateChunking(
            embed_model=MINILM, splitter=SentenceSplitter(chunk_size=64, chunk_overlap=24)
        )
        alone = {}
        for document in documents:
            nodes = late([document])
            spans = [(node.start_char_idx, node.end_char_idx) for node in nodes]
            vectors = MINILM.embedder.embed_chunks(document.text, spans)
            np.testing.assert_allclose([node.embedding for node in nodes], vectors, atol=1e-6)
            alone[document.node_id] = vectors
        characters = "jina_integrations.ingestion.batching._CHARACTERS_PER_BATCH_TOKEN"
        # All documents in one batch, and each in its own.
        for limit, order in ((128, documents), (128, documents[::-1]), (0, documents)):
            monkeypatch.setattr(characters, limit)
            nodes = late(order)
            for document in order:
                rows = [node.embedding for node in nodes if node.ref_doc_id == document.node_id]
                np.testing.assert_allclose(rows, alone[document.node_id], atol=1e-6)

    def test_are_not_those_of_the_pieces_alone(self, documents):
        nodes = LateChunking(embed_model=MINILM, splitter=SentenceChunker(48))(documents[:1])
        isolated = MINILM.get_text_embedding_batch([node.text for node in nodes])
        assert np.abs(np.array([node.embedding for node in nodes]) - isolated).max() > 0.01

    def test_metadata_is_not_encoded_unless_asked(self, documents):
        document = documents[0]
        changed = Document(id_="d0", text=document.text, metadata={"page": 99})
        late = LateChunking(embed_model=ECHO, splitter=SentenceChunker(24))
        vectors = [node.embedding for node in late([document])]
        assert vectors == [node.embedding for node in late([changed])]
        late = LateChunking(embed_model=ECHO, splitter=SentenceChunker(24), include_metadata=True)
        assert vectors != [node.embedding for node in late([document])]

    @pytest.mark.parametrize(
        "template", ["{metadata_str}\n\n{content}", "{content}\n--{metadata_str}"]
    )
    def test_metadata_is_encoded_as_its_template_says(self, documents, template):
        document = Document(
            id_="d0",
            text=documents[0].text,
            metadata={"page": 7, "secret": "no"},
            excluded_embed_metadata_keys=["secret"],
            text_template=template,
        )
        late = LateChunking(embed_model=ECHO, splitter=SentenceChunker(24), include_metadata=True)
        nodes = late([document])
        encoded = template.format(metadata_str="page: 7", content=document.text)
        shift = encoded.index(document.text)
        spans = [(node.start_char_idx + shift, node.end_char_idx + shift) for node in nodes]
        assert [node.embedding for node in nodes] == ECHO.embedder.embed_chunks(
            encoded, spans
        ).tolist()
        assert all(document.text[n.start_char_idx : n.end_char_idx] == n.text for n in nodes)
        assert document.get_content(metadata_mode=MetadataMode.EMBED) == encoded.strip()

    def test_headings_are_encoded_if_asked(self):
        text = (
            "# Town\n\nIt is small.\n\n## Bakery\n\n"
            "It opens at six and sells rye bread. It closes early.\n"
        )
        document = Document(id_="town", text=text, metadata={"title": "Guide"})
        plain = LateChunking(embed_model=ECHO, splitter=MarkdownChunker(12))
        late = LateChunking(embed_model=ECHO, splitter=MarkdownChunker(12), heading_context=True)
        nodes = late([document])
        assert [node.text for node in nodes] == [node.text for node in plain([document])]
        assert len(nodes) > 2
        assert nodes[-1].text == "It closes early."
        # The same by hand: each node's context is put in front of it.
        encoded, spans, done = "", [], 0
        for node in nodes:
            encoded += text[done : node.start_char_idx]
            path = ["Guide", "Town", "Bakery"][: 2 + ("## Bakery" in text[: node.end_char_idx])]
            if node.text.startswith("#"):
                path.pop()
            spans.append((len(encoded), len(encoded + " > ".join(path) + "\n" + node.text)))
            encoded += " > ".join(path) + "\n" + node.text
            done = node.end_char_idx
        expected = ECHO.embedder.embed_chunks(encoded + text[done:], spans)
        np.testing.assert_allclose([node.embedding for node in nodes], expected, atol=1e-6)


class TestErrors:
    @pytest.mark.parametrize("form", ["sync", "async"])
    async def test_a_changed_text_names_document_and_parser(self, form):
        parser = Changing(change=lambda text: [text.upper()])
        late = LateChunking(embed_model=ECHO, splitter=parser)
        documents = [Document(id_="up", text="UP"), Document(id_="low", text="low")]
        with pytest.raises(
            InvalidSpanError, match=r"^documents\[1\] cut by Changing: .*has changed it"
        ) as e:
            late(documents) if form == "sync" else await late.acall(documents)
        assert e.value.index == 1
        assert e.value.__notes__ == ["documents[1] is 'low'"]

    def test_a_parser_that_strips_markup_is_one_of_them(self):
        late = LateChunking(embed_model=ECHO, splitter=HTMLNodeParser(tags=["p"]))
        pytest.importorskip("bs4")
        with pytest.raises(InvalidSpanError, match=r"cut by HTMLNodeParser: .*has changed it"):
            late([Document(text="<p>a &amp; b</p>")])

    def test_a_parser_that_gives_nothing(self):
        late = LateChunking(embed_model=ECHO, splitter=Changing(change=lambda text: []))
        with pytest.raises(InvalidSpanError, match=r"documents\[0\] .*Changing gave 0 nodes"):
            late([Document(id_="d", text="some text")])

    @pytest.mark.parametrize("form", ["sync", "async"])
    async def test_documents_without_text_are_skipped_and_named(self, form):
        late = LateChunking(embed_model=ECHO, splitter=SentenceSplitter())
        documents = [Document(text=""), Document(id_="a", text="a"), Document(text=" \n")]
        says = r"^skipped without text: documents\[0\], documents\[2\]$"
        with pytest.warns(UserWarning, match=says):
            nodes = late(documents) if form == "sync" else await late.acall(documents)
        assert [node.ref_doc_id for node in nodes] == ["a"]

    def test_a_text_that_cannot_be_embedded(self):
        late = LateChunking(embed_model=ECHO, splitter=SentenceSplitter())
        with pytest.raises(InvalidTextError, match=r"^documents\[2\] has a NUL") as caught:
            late([Document(text="a"), Document(text=""), Document(text="a\0b")])
        assert caught.value.index == 2

    def test_pieces_are_refused_with_the_way_out(self, documents):
        nodes = SentenceSplitter(chunk_size=64, chunk_overlap=0)(documents)
        late = LateChunking(embed_model=ECHO, splitter=SentenceSplitter())
        with pytest.raises(InvalidInputError, match=r"piece of 'd0' already.*place of the parser"):
            late(nodes)

    def test_one_id_for_two_nodes(self, documents):
        parser = SentenceSplitter(chunk_size=64, chunk_overlap=0, id_func=lambda i, doc: str(i))
        late = LateChunking(embed_model=ECHO, splitter=parser)
        late(documents[:1])
        with pytest.raises(
            InvalidInputError, match=r"documents\[1\] gives two nodes .*'0'.*id_func"
        ):
            late(documents)

    @pytest.mark.parametrize("form", ["sync", "async"])
    async def test_of_the_embedder_name_the_document(self, form, monkeypatch):
        monkeypatch.setattr("jina_integrations.ingestion.batching._CHARACTERS_PER_BATCH_TOKEN", 0)
        late = LateChunking(embed_model=MINILM, splitter=Changing(change=lambda text: [text]))
        documents = [Document(text="fine"), Document(id_="long", text="word " * 400)]
        with pytest.raises(
            InvalidInputError, match=r"^spans\[0\] of documents\[1\] has 402 tokens"
        ) as caught:
            late(documents) if form == "sync" else await late.acall(documents)
        assert caught.value.index == 1

    def test_a_model_that_cannot(self):
        model = JinaEmbedding("jina-embeddings-v5-text-small", api_key="k")
        with pytest.raises(LateChunkingUnsupportedError, match="pools the last token"):
            LateChunking(embed_model=model, splitter=SentenceSplitter())([Document(text="a")])

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ({"late_chunking": False}, "has late_chunking=False"),
            ({"task": "clustering"}, "task='clustering'.*leave task out"),
        ],
    )
    def test_a_model_that_is_set_up_against_it(self, model, message):
        with pytest.raises(InvalidSettingError, match=message):
            LateChunking(embed_model=JinaEmbedding("echo", **model), splitter=SentenceSplitter())

    def test_arguments_of_another_kind(self):
        with pytest.raises(InvalidSettingError, match="must be a JinaEmbedding, not Embedder"):
            LateChunking(embed_model=Embedder("echo"), splitter=SentenceSplitter())
        with pytest.raises(InvalidSettingError, match=r"NodeParser .* not str"):
            LateChunking(embed_model=ECHO, splitter="sentence")


class TestSettings:
    def test_a_dict_is_stable_and_holds_no_key(self):
        def make():
            return LateChunking(
                embed_model=JinaEmbedding("jina-embeddings-v3", api_key="jina_secret"),
                splitter=SentenceSplitter(chunk_size=64, chunk_overlap=24),
            )

        assert str(make().to_dict()) == str(make().to_dict())
        assert make().to_json() == make().to_json()
        assert "jina_secret" not in str(make().to_dict()) + repr(make())
        assert make().to_dict()["class_name"] == "LateChunking"

    def test_a_dict_changes_with_every_setting_of_nodes_and_vectors(self):
        def sized(child, overlap):
            parsers = {
                "a": SentenceSplitter(chunk_size=512, chunk_overlap=0),
                "b": SentenceSplitter(chunk_size=child, chunk_overlap=overlap),
            }
            return HierarchicalNodeParser.from_defaults(
                node_parser_ids=["a", "b"], node_parser_map=parsers
            )

        def windows(text):
            return [(0, len(text))]

        variants = [
            {},
            {"include_metadata": True},
            {"heading_context": True},
            {"embed_model": JinaEmbedding("echo", dimensions=32)},
            {"embed_model": JinaEmbedding("echo", dimensions=64, context_weight=0.5)},
            {"embed_model": JinaEmbedding("echo", dimensions=64, overlap_tokens=7)},
            {"splitter": SentenceSplitter(chunk_size=65, chunk_overlap=0)},
            {"splitter": SentenceSplitter(chunk_size=65, chunk_overlap=1)},
            {
                "splitter": SentenceSplitter(
                    chunk_size=65, chunk_overlap=1, include_prev_next_rel=False
                )
            },
            {"splitter": MarkdownNodeParser()},
            {"splitter": Changing(change=len)},
            {"splitter": sized(64, 0)},
            {"splitter": sized(65, 0)},
            {"splitter": sized(65, 1)},
            {"splitter": SentenceChunker(24)},
            {"splitter": SentenceChunker(25)},
            {"splitter": TokenChunker(24)},
            {"splitter": SpanChunker(windows, name="a")},
            {"splitter": SpanChunker(windows, name="b")},
            {
                "splitter": SemanticSplitterNodeParser(
                    embed_model=JinaEmbedding("echo", dimensions=32)
                )
            },
            {"splitter": SemanticSplitterNodeParser(embed_model=ECHO)},
        ]
        common = {"embed_model": ECHO, "splitter": SentenceSplitter(chunk_size=64, chunk_overlap=0)}
        seen = {str(LateChunking(**common | variant).to_dict()) for variant in variants}
        assert len(seen) == len(variants)

    def test_pickling_takes_nothing_from_what_is_pickled(self, documents):
        rate_limiter = pytest.importorskip("llama_index.core.rate_limiter")
        limiter = rate_limiter.TokenBucketRateLimiter(requests_per_minute=1000)  # holds a lock
        model = JinaEmbedding("echo", rate_limiter=limiter)
        late = LateChunking(embed_model=model, splitter=SentenceWindowNodeParser())
        pickle.loads(pickle.dumps(late))(documents)
        late(documents)
        assert model.rate_limiter is limiter

    def test_what_a_process_cannot_be_sent_is_an_error(self):
        chunker = SpanChunker(lambda text: [(0, len(text))], name="whole")
        late = LateChunking(embed_model=ECHO, splitter=chunker)
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            pickle.dumps(late)

    def test_a_pickle_does_the_same(self, documents, splitter):
        late = LateChunking(embed_model=ECHO, splitter=splitter, include_metadata=True)
        again = pickle.loads(pickle.dumps(late))
        assert again.to_dict() == late.to_dict()
        expected = [node.embedding for node in late(documents)]
        assert [node.embedding for node in again(documents)] == expected

    def test_none_can_change(self):
        late = LateChunking(embed_model=ECHO, splitter=SentenceSplitter())
        with pytest.raises(ValueError, match="frozen"):
            late.include_metadata = True

    def test_a_parser_gets_what_the_pipeline_was_given(self, documents):
        seen = {}

        class Asking(SentenceSplitter):
            def _parse_nodes(self, nodes, show_progress=False, **kwargs):
                seen.update(kwargs)
                return super()._parse_nodes(nodes, show_progress)

        LateChunking(embed_model=ECHO, splitter=Asking())(documents, depth=3)
        assert seen == {"depth": 3}

    def test_a_rate_limiter_is_asked_for_each_batch(self, documents):
        pytest.importorskip("llama_index.core.rate_limiter")
        from llama_index.core.rate_limiter import TokenBucketRateLimiter

        class Counting(TokenBucketRateLimiter):
            asked: int = 0

            def acquire(self, num_tokens=0):
                self.asked += 1

        limiter = Counting()
        model = JinaEmbedding("echo", rate_limiter=limiter)
        LateChunking(embed_model=model, splitter=SentenceSplitter())(documents)
        assert limiter.asked == 1


def test_events_tell_of_every_batch(documents):
    handler = LlamaDebugHandler(print_trace_on_end=False)
    model = JinaEmbedding("echo", callback_manager=CallbackManager([handler]))
    nodes = LateChunking(embed_model=model, splitter=SentenceSplitter())(documents)
    [(start, end)] = handler.get_event_pairs(CBEventType.EMBEDDING)
    assert start.payload[EventPayload.SERIALIZED] == model.to_payload()
    assert end.payload[EventPayload.CHUNKS] == [node.text for node in nodes]
    assert end.payload[EventPayload.EMBEDDINGS] == [node.embedding for node in nodes]
