"""The stages by themselves: plain values in, plain values out."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from jina_integrations import Document, Embedder
from jina_integrations.errors import RootConflictError
from jina_integrations.ingestion.isolation import isolate
from jina_integrations.ingestion.ledger import StoredDocument, look_up
from jina_integrations.ingestion.stages import (
    Job,
    Plan,
    Written,
    chunk,
    embed,
    plan,
    retire,
    write,
)
from jina_integrations.stores import AnyOf, CollectionInfo
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing import MemoryStore
from jina_integrations.types import Record
from tests.samples import PARAGRAPHS, chunks_of, corpus, document


@pytest.fixture
def job(words) -> Job:
    return Job(Embedder("words"), PARAGRAPHS)


def test_everything_between_the_stages_is_plain(job: Job) -> None:
    """Picklable and comparable, so that the stages run in processes or on a cluster."""
    job = pickle.loads(pickle.dumps(job))
    documents = pickle.loads(pickle.dumps(corpus(8)))
    planned = pickle.loads(pickle.dumps(plan(documents, {}, job.recipe)))
    assert planned == plan(corpus(8), {}, job.recipe)

    pending = [(item.document, item.version) for item in planned]
    chunked, failures = pickle.loads(pickle.dumps(chunk(job, pending)))
    assert failures == []
    assert [item.document for item in chunked] == documents

    embedded = pickle.loads(pickle.dumps(embed(job, chunked)))
    records = [record for records in embedded.documents for record in records]
    assert len(records) == chunks_of(8)
    assert copy.deepcopy(records) == records
    assert [Record.from_dict(record.to_dict()) for record in records] == records


def test_failures_travel(job: Job) -> None:
    """An error of ours keeps its fields in a pickle."""
    chunked, _ = chunk(job, [(Document("d", "word " * 60), "v")])

    embedded = pickle.loads(pickle.dumps(embed(job, chunked)))

    (failure,) = embedded.failures
    assert failure.document_id == "d"
    assert (failure.error.tokens, failure.error.limit) == (60, 50)


def test_plan(job: Job) -> None:
    documents = [document(name, "Text.") for name in "abcdef"]
    version = {item.id: job.recipe.version(item) for item in documents}

    def stored(*versions: str, complete: tuple[str, ...] = ()) -> StoredDocument:
        return StoredDocument("", frozenset(versions), frozenset(complete))

    planned = plan(
        documents,
        {
            "b": stored(version["b"], complete=(version["b"],)),
            "c": stored(version["c"]),
            "d": stored("old", complete=("old",)),
            "e": stored("old", version["e"], complete=(version["e"],)),
            "f": stored("old", version["f"], complete=("old",)),
        },
        job.recipe,
    )

    old = frozenset(["old"])
    a, b, c, d, e, f = documents
    assert planned == [
        Plan(a, version["a"]),
        Plan(b, version["b"], is_stored=True),
        Plan(c, version["c"], is_mended=True),
        Plan(d, version["d"], stale=old),
        Plan(e, version["e"], is_stored=True, stale=old, partial=old),
        Plan(f, version["f"], is_mended=True, stale=old),
    ]
    assert [item.document.id for item in planned if item.is_done] == ["b"]


@pytest.mark.parametrize(
    ("root", "stored_root", "allowed"),
    [
        ("", "", True),
        ("/x/docs", "/x/docs", True),
        ("docs", "/x/docs", True),
        ("docs", "docs", True),
        ("/x/docs", "/y/docs", False),
        ("/x/docs", "docs", False),
        ("docs", "/x/other", False),
        ("docs", "", False),
        ("", "/x/docs", False),
    ],
)
def test_roots(job: Job, root: str, stored_root: str, allowed: bool) -> None:
    item = Document("docs/a.txt", "Text.", root=root)
    stored = {item.id: StoredDocument(stored_root, frozenset(["v"]), frozenset(["v"]))}

    if allowed:
        (planned,) = plan([item], stored, job.recipe)
        assert not planned.is_stored
    else:
        with pytest.raises(RootConflictError, match=r"docs/a\.txt"):
            plan([item], stored, job.recipe)


@pytest.mark.parametrize(
    "changed",
    [
        Document("e", "Text.", {"a": 1}),
        Document("d", "Text!", {"a": 1}),
        Document("d", "Text.", {"a": 2}),
        Document("d", "Text.", {"a": True}),
        Document("d", "Text.", {"a": 1.0}),
        Document("d", "Text.", {"a": "1"}),
        Document("d", "Text.", {"b": 1}),
    ],
)
def test_version_depends_on_all_that_is_stored(job: Job, changed: Document) -> None:
    plain = Document("d", "Text.", {"a": 1})

    assert job.recipe.version(plain) == job.recipe.version(Document("d", "Text.", {"a": 1}))
    assert job.recipe.version(changed) != job.recipe.version(plain)


def test_isolation_costs_few_calls() -> None:
    """One bad item of n costs about 2 log2(n) further calls."""
    calls: list[int] = []
    bad: list[int] = []

    def act(items):
        calls.append(len(items))
        if 77 in items:
            from jina_integrations.errors import InvalidInputError

            raise InvalidInputError("no 77")
        return [item * 2 for item in items]

    result = isolate(range(128), act, on_failure=lambda item, _: bad.append(item))

    assert result == [n * 2 for n in range(128) if n != 77]
    assert bad == [77]
    assert len(calls) == 2 * 7 + 1


# What is deleted


@pytest.fixture
def access(job: Job, request: pytest.FixtureRequest) -> Iterator[StoreAccess]:
    """A collection that holds the document "d" with three paragraphs."""
    access = StoreAccess(MemoryStore(request.node.name))
    access.create(CollectionInfo({}, {"dense": job.embedder.dimensions}))
    store_document(access, job, *"abc")
    yield access
    access.drop()


def store_document(access: StoreAccess, job: Job, *paragraphs: str) -> Written:
    item = document("d", *paragraphs)
    chunked, _ = chunk(job, [(item, job.recipe.version(item))])
    return write(access, embed(job, chunked).documents)


def test_version_that_another_run_writes_meanwhile_is_left_alone(
    job: Job, access: StoreAccess
) -> None:
    planned = plan([document("d", "x")], look_up(access, ["d"]), job.recipe)
    written = store_document(access, job, "x")
    store_document(access, job, "y", "z")  # by another run, since the plan

    assert retire(access, planned, written) == 3
    versions = {job.recipe.version(document("d", *text)) for text in ("x", "yz")}
    assert look_up(access, ["d"])["d"].complete == versions


def test_document_that_fails_keeps_what_is_whole_and_loses_what_is_not(
    job: Job, access: StoreAccess
) -> None:
    whole = job.recipe.version(document("d", *"abc"))
    store_document(access, job, *"efgh")
    killed = job.recipe.version(document("d", *"efgh"))
    access.delete((AnyOf("document_version", (killed,)), AnyOf("chunk_index", (0, 2))))
    planned = plan([document("d", "fails")], look_up(access, ["d"]), job.recipe)

    assert retire(access, planned, Written({}, [])) == 2
    assert look_up(access, ["d"])["d"].versions == {whole}
