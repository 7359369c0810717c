"""BEIR folders: texts, grades, splits, and a note of everything left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations.errors import InvalidSettingError, ReadError
from jina_integrations.evaluation.questions import Evidence
from jina_integrations.evaluation.reading import read_questions

CORPUS = [
    {"_id": "d1", "title": "Tea", "text": "It is hot.", "metadata": {"url": "x"}},
    {"_id": "d2", "title": "", "text": "Ice is cold."},
    {"_id": "d3", "title": "Only a title", "text": ""},
    {"_id": 4, "text": "No title."},
]
QUERIES = [{"_id": "q1", "text": "What is hot?"}, {"_id": "q2", "text": "What is cold?"}]
HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "drinks"
    (folder / "qrels").mkdir(parents=True)
    write(folder, "corpus.jsonl", CORPUS)
    write(folder, "queries.jsonl", QUERIES)
    return folder


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n\n")


def judge(folder: Path, rows: str, split: str = "test") -> None:
    (folder / "qrels" / f"{split}.tsv").write_text(HEADER + rows)


def test_titles_precede_texts_and_scores_are_grades(folder: Path) -> None:
    judge(folder, "q1\td1\t2\nq1\td3\t1\nq1\td2\t0\nq2\td2\t1\r\nq2\t4\t-1\n")
    question_set = read_questions(folder)
    assert {document.id: document.text for document in question_set.documents} == {
        "d1": "Tea\n\nIt is hot.",
        "d2": "Ice is cold.",
        "d3": "Only a title",
        "4": "No title.",
    }
    assert [
        (question.id, question.text, question.evidence) for question in question_set.questions
    ] == [
        ("q1", "What is hot?", (Evidence("d1", grade=2), Evidence("d3", grade=1))),
        ("q2", "What is cold?", (Evidence("d2"),)),
    ]
    assert (question_set.name, question_set.unit, question_set.notes) == (
        "drinks/test",
        "document",
        (),
    )


def test_what_is_left_out_is_counted(folder: Path) -> None:
    write(folder, "corpus.jsonl", [*CORPUS, {"_id": "blank", "title": " ", "text": "\n"}])
    judge(
        folder,
        "q1\td1\t1\nq1\td1\t1\nq1\tblank\t1\nq1\tunknown\t1\nother\td1\t1\nq2\td1\t0\n",
    )
    question_set = read_questions(folder)
    assert [question.id for question in question_set.questions] == ["q1"]
    assert question_set.notes == (
        "left out (1): documents without text",
        "left out (1): judgements that repeat one before",
        "left out (2): judgements of a document that is unknown or without text",
        "left out (1): judgements of an unknown query",
        "left out (1): queries without a relevant document in the split test",
    )


def test_the_split_is_the_given_one_else_test_else_the_only_one(folder: Path) -> None:
    judge(folder, "q1\td1\t1\n", "dev")
    assert read_questions(folder).name == "drinks/dev"
    judge(folder, "q2\td2\t1\n", "train")
    with pytest.raises(InvalidSettingError, match="give a split: it has 'dev', 'train'"):
        read_questions(folder)
    judge(folder, "q2\td2\t1\n")
    assert read_questions(folder).questions[0].id == "q2"
    assert read_questions(folder, split="dev").questions[0].id == "q1"
    with pytest.raises(InvalidSettingError, match="no split 'x': it has 'dev', 'test', 'train'"):
        read_questions(folder, split="x")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("q1 d1 1\n", "line 2: must be a query's id, a document's id and an integer"),
        ("q1\td1\t1\n\nq1\td2\t0.5\n", "line 4: must be .* not 'q1"),
        ("q1\t0\td1\t1\n", "line 2: must be"),
        ("q1\td1\t1\nq1\td1\t2\n", "line 3: score 2, and a line before says 1"),
        ("q1\td1\t0\n", "no question in it can be measured; left out \\(2\\): queries"),
        ("", "no question in it can be measured"),
    ],
)
def test_judgements_that_cannot_be_used_are_refused(folder: Path, rows: str, message: str) -> None:
    judge(folder, rows)
    with pytest.raises(ReadError, match=message):
        read_questions(folder)


def test_judgements_without_the_header_are_refused(folder: Path) -> None:
    (folder / "qrels/test.tsv").write_text("q1\td1\t1\n")
    with pytest.raises(ReadError, match=r"test\.tsv, line 1: must be query-id corpus-id score"):
        read_questions(folder)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("corpus.jsonl", {"_id": "d1", "text": "x"}, r"line 5: a line before has the _id 'd1'"),
        ("queries.jsonl", {"_id": "q1", "text": "x"}, r"line 3: a line before has the _id 'q1'"),
        ("corpus.jsonl", {"_id": "x"}, r'line 5: needs "text": a string'),
        ("corpus.jsonl", {"_id": "", "text": "x"}, r'line 5: "_id" must be a string that is not'),
        ("corpus.jsonl", {"_id": "x", "title": 1, "text": ""}, r'line 5: "title" must be a string'),
        ("corpus.jsonl", {"_id": "x", "text": "\0"}, r'line 5: "text": text has a NUL'),
        ("queries.jsonl", {"_id": "x", "text": "\udc00"}, r"line 3: .* lone surrogate U\+DC00"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(
    folder: Path, name: str, row: dict[str, object], message: str
) -> None:
    judge(folder, "q1\td1\t1\n")
    write(folder, name, [*(CORPUS if name == "corpus.jsonl" else QUERIES), row])
    with pytest.raises(ReadError, match=rf"{name}, {message}"):
        read_questions(folder)
