"""What `prune` removes: what has left the sources of the run, and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from jina_integrations import Document
from jina_integrations.errors import EmptySourceError, ReadError, RootConflictError
from jina_integrations.readers import read_documents
from jina_integrations.readers.results import FailedFile
from tests.samples import chunks_of, collection, contents, corpus, document, fill


@pytest.fixture(autouse=True)
def _words(words) -> None:
    pass


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def stored(store) -> set[str]:
    return {record.chunk.document_id for record in store.records.values()}


def test_deleted_and_renamed_files(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_txt="One.", b_txt="Two.", c_txt="Three.")
    fill(memory_store, read_documents([docs]))
    (docs / "a.txt").unlink()
    (docs / "b.txt").rename(docs / "d.txt")

    report = fill(memory_store, read_documents([docs]))
    assert report.documents_removed == ()
    assert stored(memory_store) == {"docs/a.txt", "docs/b.txt", "docs/c.txt", "docs/d.txt"}

    report = fill(memory_store, read_documents([docs]), prune=True)
    assert report.documents_removed == ("docs/a.txt", "docs/b.txt")
    assert report.chunks_dropped == 2
    assert stored(memory_store) == {"docs/c.txt", "docs/d.txt"}


def test_other_folders_stay(memory_store, tmp_path: Path) -> None:
    first = write(tmp_path / "first", a_txt="One.")
    second = write(tmp_path / "second", a_txt="Two.", b_txt="Three.")
    fill(memory_store, [*read_documents([first, second]), document("by hand", "Four.")])
    (first / "a.txt").unlink()
    (second / "a.txt").unlink()

    report = fill(memory_store, read_documents([second]), prune=True)

    assert report.documents_removed == ("second/a.txt",)
    assert stored(memory_store) == {"first/a.txt", "second/b.txt", "by hand"}


def test_two_sources_of_one_run(memory_store, tmp_path: Path) -> None:
    first = write(tmp_path / "first", a_txt="One.", b_txt="One, too.")
    second = write(tmp_path / "second", a_txt="Two.", b_txt="Three.")
    fill(memory_store, read_documents([first, second]))
    (first / "a.txt").unlink()
    (second / "b.txt").unlink()

    report = fill(memory_store, read_documents([first, second]), prune=True)

    assert report.documents_removed == ("first/a.txt", "second/b.txt")


# A source of which nothing was read


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("left", [None, ".hidden", "picture.png"])
def test_folder_without_documents_is_refused(
    memory_store, tmp_path: Path, left: str | None, dry_run: bool
) -> None:
    """As a disk looks that is not mounted. What the other sources gave is stored."""
    docs = write(tmp_path / "docs", a_txt="One.", b_txt="Two.")
    other = write(tmp_path / "other", c_txt="Three.", d_txt="Four.")
    fill(memory_store, read_documents([docs, other]))
    for file in [*docs.iterdir(), other / "d.txt"]:
        file.unlink()
    if left:
        (docs / left).write_text("no document")
    write(other, e_txt="Five.")

    with pytest.raises(EmptySourceError, match="and 2 stored documents come from there") as error:
        fill(memory_store, read_documents([docs, other]), prune=True, dry_run=dry_run)

    assert docs.as_posix() in str(error.value)
    assert error.value.report is not None
    assert error.value.report.documents_embedded == 1
    assert stored(memory_store) - {"other/e.txt"} == {
        *("docs/a.txt", "docs/b.txt", "other/c.txt", "other/d.txt")
    }
    assert ("other/e.txt" in stored(memory_store)) is not dry_run


def test_empty_folder_of_which_nothing_is_stored(memory_store, tmp_path: Path) -> None:
    docs, empty = write(tmp_path / "docs", a_txt="One.", b_txt="Two."), write(tmp_path / "empty")
    fill(memory_store, read_documents([docs, empty]))
    (docs / "a.txt").unlink()

    report = fill(memory_store, read_documents([docs, empty]), prune=True)

    assert report.documents_removed == ("docs/a.txt",)


@pytest.mark.parametrize("order", [("empty", "docs"), ("docs", "empty")])
def test_two_folders_read_under_one_name(memory_store, tmp_path: Path, order) -> None:
    """One of them is empty now, so nobody can tell whose documents have left."""
    write(tmp_path / "docs", a_txt="One.")
    write(tmp_path / "empty", b_txt="Two.")
    paths = [tmp_path / name for name in order]
    fill(memory_store, read_documents(paths, root="all"))
    (tmp_path / "empty" / "b.txt").unlink()

    with pytest.raises(EmptySourceError, match="empty, and 1 stored"):
        fill(memory_store, read_documents(paths, root="all"), prune=True)


def test_what_shows_that_a_folder_is_there(memory_store, tmp_path: Path) -> None:
    """A file that is empty now, or that another path has given before."""
    docs = write(tmp_path / "docs", a_txt="One.", b_txt="Two.", c_txt="Three.")
    fill(memory_store, read_documents([docs]))
    (docs / "c.txt").unlink()

    report = fill(memory_store, read_documents([docs, docs]), prune=True)
    assert report.documents_removed == ("docs/c.txt",)

    (docs / "b.txt").unlink()
    write(docs, a_txt=" ")
    report = fill(memory_store, read_documents([docs]), prune=True)
    assert report.documents_removed == ("docs/a.txt", "docs/b.txt")


def test_named_file_covers_itself_and_its_records(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_csv="text\nOne.\nTwo.\n", a_csvx="Three.", b_txt="Four.")
    (docs / "a.csvx").rename(docs / "a.csv.txt")
    fill(memory_store, read_documents([docs]))
    assert len(stored(memory_store)) == 4
    write(docs, a_csv="text\nTwo.\n")

    report = fill(memory_store, read_documents([docs / "a.csv"]), prune=True)

    assert len(report.documents_removed) == 1
    texts = {record.chunk.text for record in memory_store.records.values()}
    assert texts == {"Two.", "Three.", "Four."}
    assert report.documents_unchanged == 1


def test_rows_that_move_are_not_embedded_again(memory_store, tmp_path: Path) -> None:
    """Rows without ids are known by content: the first one may go, another may come on top."""
    docs = write(tmp_path / "docs", t_csv="text\nOne.\nTwo.\nThree.\n")
    fill(memory_store, read_documents([docs]))
    write(docs, t_csv="text\nZero.\nTwo.\nThree.\n")

    report = fill(memory_store, read_documents([docs]), prune=True)

    assert (report.documents_embedded, report.documents_unchanged) == (1, 2)
    assert len(report.documents_removed) == 1
    texts = sorted(record.chunk.text for record in memory_store.records.values())
    assert texts == ["Three.", "Two.", "Zero."]


def test_documents_by_hand(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_txt="One.")
    fill(memory_store, [*read_documents([docs]), *corpus(4)])

    report = fill(memory_store, corpus(2), prune=True)

    assert report.documents_removed == ("d2", "d3")
    assert stored(memory_store) == {"docs/a.txt", "d0", "d1"}


def test_run_without_documents_removes_none_that_were_made_by_hand(memory_store) -> None:
    """An empty list is more likely a mistake than the wish to remove everything."""
    fill(memory_store, corpus(4))

    assert fill(memory_store, [], prune=True).documents_removed == ()


def test_what_could_not_be_read_stays(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_txt="One.", b_csv="id,text\nx,Two.\ny,Three.\n")
    write(docs / "deep", c_txt="Four.")
    fill(memory_store, read_documents([docs]))
    before = contents(memory_store.records)
    results = list(read_documents([docs]))
    root = docs.as_posix()
    failing = [
        results[0],
        FailedFile("docs/a.txt", ReadError("no permission"), root),
        FailedFile("docs/b.csv#3", ReadError("no text"), root, file="docs/b.csv"),
        FailedFile("docs/deep", ReadError("the folder cannot be listed"), root),
    ]

    report = fill(memory_store, failing, prune=True)

    assert report.documents_removed == ()
    assert contents(memory_store.records) == before


def test_document_that_fails_now_stays(memory_store) -> None:
    fill(memory_store, [document("a", "One."), document("b", "Two.")])

    report = fill(memory_store, [document("a", "One."), Document("b", "NUL \0")], prune=True)

    assert report.documents_removed == ()
    assert stored(memory_store) == {"a", "b"}


def test_chunks_of_a_document_that_was_never_finished(memory_store) -> None:
    """A run is killed inside a new document, and then the document leaves its source."""
    killed = document("new", *(f"Part {n}." for n in range(9)))

    class Killed(BaseException):
        pass

    def kill() -> None:
        if len(memory_store.records) == chunks_of(3) + 5:
            raise Killed

    memory_store.before_change = kill
    with pytest.raises(Killed):
        fill(memory_store, [*corpus(3), killed])
    memory_store.before_change = lambda: None
    assert "new" in stored(memory_store)

    report = fill(memory_store, corpus(3), prune=True)

    assert report.documents_removed == ("new",)
    assert len(memory_store.records) == chunks_of(3)


# Roots


def test_two_folders_of_one_name(memory_store, tmp_path: Path) -> None:
    here = write(tmp_path / "here" / "docs", README_md="Here.")
    there = write(tmp_path / "there" / "docs", README_md="There.")
    fill(memory_store, read_documents([here]))
    before = contents(memory_store.records)

    with pytest.raises(RootConflictError, match=r"(?s)docs/README\.md.*here/docs.*root=") as error:
        fill(memory_store, read_documents([there]))
    assert there.as_posix() in str(error.value)
    assert contents(memory_store.records) == before

    fill(memory_store, read_documents([there], root="manual"), prune=True)
    assert stored(memory_store) == {"docs/README.md", "manual/README.md"}
    assert pickle.loads(pickle.dumps(error.value)).args == error.value.args


def test_document_by_hand_does_not_replace_a_file(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_txt="One.")
    fill(memory_store, read_documents([docs]))

    with pytest.raises(RootConflictError, match="this one comes from no folder"):
        fill(memory_store, [document("docs/a.txt", "Two.")])

    fill(memory_store, [document("docs/b.txt", "Two.")])
    write(docs, b_txt="Three.")
    with pytest.raises(RootConflictError, match="as a document from no folder"):
        fill(memory_store, read_documents([docs]))


def test_folder_that_gets_a_name_keeps_its_documents(memory_store, tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a_txt="One.", b_txt="Two.")
    fill(memory_store, read_documents([docs]))
    (docs / "b.txt").unlink()

    report = fill(memory_store, read_documents([docs], root="docs"), prune=True)

    assert (report.documents_embedded, report.documents_removed) == (1, ("docs/b.txt",))


def test_another_folder_of_that_name_is_not_pruned(memory_store, tmp_path: Path, caplog) -> None:
    here = write(tmp_path / "here" / "docs", a_txt="One.", b_txt="Two.")
    there = write(tmp_path / "there" / "docs", c_txt="Three.", d_txt="Four.")
    fill(memory_store, read_documents([here]))
    fill(memory_store, read_documents([there]))
    (here / "b.txt").unlink()

    for removed in (("docs/b.txt",), ()):
        report = fill(memory_store, read_documents([here], root="docs"), prune=True)
        assert report.documents_removed == removed
        assert stored(memory_store) == {"docs/a.txt", "docs/c.txt", "docs/d.txt"}
        assert f"2 stored documents come from {there.as_posix()}" in caplog.text
        caplog.clear()
    fill(memory_store, read_documents([there]), prune=True)
    assert caplog.text == ""


def test_folder_in_another_place_is_adopted_by_its_name(
    memory_store, tmp_path: Path, caplog
) -> None:
    """Its documents that are there still; of the others nobody knows whether it is that folder."""
    old = write(tmp_path / "old" / "docs", a_txt="One.", b_txt="Two.", c_txt="Three.")
    fill(memory_store, read_documents([old]))
    new = write(tmp_path / "new" / "docs", a_txt="One.", b_txt="Two, edited.")
    before = list(read_documents([new], root="docs"))
    failed = FailedFile("docs/c.txt", ReadError("no permission"), "docs")

    report = fill(memory_store, [*before, failed], prune=True)
    assert (report.documents_embedded, report.documents_removed) == (2, ())

    report = fill(memory_store, before, prune=True)

    assert report.documents_removed == ()
    assert f"1 stored documents come from {old.as_posix()}" in caplog.text
    assert (report.documents_embedded, report.documents_unchanged) == (0, 2)
    handbook = collection(memory_store)
    left = handbook.documents(filters={"document_root": old.as_posix()})
    handbook.delete([entry.document_id for entry in left])
    assert {record.root for record in memory_store.records.values()} == {"docs"}
    assert handbook.verify().ok
