"""Our JSON Lines: questions and documents line by line, and documents that are files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jina_integrations.errors import ReadError
from jina_integrations.evaluation.questions import Evidence, QuestionSet
from jina_integrations.evaluation.reading import read_questions

TEXT = {"document": "a", "text": "Tea is hot. Ice is cold."}
TEA = {"document": "a", "question": "What is hot?", "start": 0, "end": 3}


def read(folder: Path, *rows: object) -> QuestionSet:
    path = folder / "own.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return read_questions(path)


def test_questions_and_documents_come_in_any_order(tmp_path: Path) -> None:
    question_set = read(
        tmp_path,
        TEA,
        {"document": "b", "text": "Unasked.", "metadata": {"year": 2024}},
        {"document": "a", "question": "What is cold?", "start": 12, "end": 15, "id": "ice"},
        TEXT,
        {"document": "b", "question": "What is hot?", "start": 0, "end": 2, "id": None},
    )
    assert {document.id: document.text for document in question_set.documents} == {
        "a": TEXT["text"],
        "b": "Unasked.",
    }
    assert question_set.documents[0].metadata == {"year": 2024}
    assert [
        (question.id, question.text, question.evidence) for question in question_set.questions
    ] == [
        ("1", "What is hot?", (Evidence("a", 0, 3), Evidence("b", 0, 2))),
        ("ice", "What is cold?", (Evidence("a", 12, 15),)),
    ]
    assert (question_set.name, question_set.unit, question_set.notes) == ("own", "chunk", ())


def test_without_offsets_the_whole_document_answers(tmp_path: Path) -> None:
    question_set = read(tmp_path, TEXT, {"document": "a", "question": "What?", "start": None})
    assert question_set.questions[0].evidence == (Evidence("a"),)
    assert question_set.unit == "document"


def test_blank_lines_hold_nothing_and_still_count(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f"\n{json.dumps(TEXT)}\n \n{json.dumps(TEA)}")
    assert read_questions(path).questions[0].id == "4"


def test_a_repeated_line_is_counted(tmp_path: Path) -> None:
    question_set = read(tmp_path, TEXT, TEA, TEA)
    assert len(question_set.questions[0].evidence) == 1
    assert question_set.notes == ("left out (1): lines that repeat one before",)


def test_a_document_that_no_line_defines_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/ü.md").write_bytes("# Tëa\r\n\r\nIt is hot.\r\n".encode())
    question = {"document": "notes/ü.md", "question": "What?", "start": 7, "end": 17}
    question_set = read(tmp_path, question, TEXT)
    (document,) = [document for document in question_set.documents if document.id == "notes/ü.md"]
    assert document.text == "# Tëa\n\nIt is hot.\n"
    assert document.text[7:17] == "It is hot."
    assert document.metadata["title"] == "Tëa"


def test_of_html_the_text_is_asked_about(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    (tmp_path / "page.html").write_text("<title>T</title><nav>menu</nav><p>It is <b>hot</b>.</p>")
    question_set = read(
        tmp_path, {"document": "page.html", "question": "How?", "start": 6, "end": 9}
    )
    assert question_set.documents[0].text[6:9] == "hot"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"document": "a"}, 'line 3: needs "question" .* or "text" .*, and not both'),
        ({"document": "a", "text": "x", "question": "y"}, "line 3: needs .* and not both"),
        ({"text": "x"}, 'line 3: needs "document": a string that is not empty'),
        ({"document": "a", "text": "x"}, "line 3: document 'a' is defined on a line before"),
        ({"document": "b", "text": " "}, "line 3: the document's text is blank"),
        ({"document": "b", "text": "x\0"}, 'line 3: "text": text has a NUL character'),
        ({"document": "b", "text": "\ud800x"}, r'line 3: "text": .* lone surrogate U\+D800'),
        ({"document": "b", "text": "x", "start": 1}, "line 3: 'start' is none of 'document'"),
        ({"document": "b", "text": "x", "metadata": [1]}, 'line 3: "metadata" must be an object'),
        ({"document": "b", "text": "x", "metadata": {"k": []}}, "line 3: .* metadata 'k': must be"),
        ({**TEA, "begin": 1}, "line 3: 'begin' is none of 'document', 'end', 'id', 'question'"),
        ({**TEA, "end": None}, 'line 3: needs both "start" and "end", or neither'),
        ({**TEA, "start": "0"}, 'line 3: "start" must be an integer, not a string'),
        ({**TEA, "start": 0.0}, 'line 3: "start" must be an integer, not a number'),
        ({**TEA, "id": []}, 'line 3: "id" must be a string that is not empty, or an integer'),
        ({**TEA, "question": "Why?", "end": 99}, r"question '3': \(0, 99\) is empty, reversed or"),
        ({**TEA, "question": "Why?", "id": "2"}, "two questions have the id '2'"),
        ({**TEA, "question": ""}, "question '3': text is empty"),
        ({"document": "a", "question": "Why?"}, "own: some questions are answered by a passage"),
        ([], "line 3: must be a JSON object, not a list"),
    ],
)
def test_a_bad_line_is_refused(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(ReadError, match=rf"own\.jsonl(, |: ){message}"):
        read(tmp_path, TEXT, TEA, row)


def test_one_question_with_two_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="line 3: has the id 'y', and a line before 'x'"):
        read(tmp_path, TEXT, {**TEA, "id": "x"}, {**TEA, "id": "y"})


def test_a_broken_line_is_refused_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(f'{json.dumps(TEXT)}\n{{"document": }}\n')
    with pytest.raises(ReadError, match=r"own\.jsonl, line 2: not valid JSON"):
        read_questions(tmp_path / "own.jsonl")


def test_documents_without_a_question_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no question in it can be measured"):
        read(tmp_path, TEXT)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("gone.md", "document 'gone.md': no line gives its \"text\", and there is no file"),
        ("x" * 300, "there is no file"),
        (".", "there is no file"),
        ("blank.md", "document 'blank.md': the file is empty"),
        ("binary.md", "document 'binary.md': is a binary file: NUL at byte 1"),
        ("records.csv", "document 'records.csv' is a file of records: give each a line"),
    ],
)
def test_a_file_that_gives_no_document_is_refused(
    tmp_path: Path, document: str, message: str
) -> None:
    (tmp_path / "blank.md").write_text("\n")
    (tmp_path / "binary.md").write_bytes(b"a\0")
    (tmp_path / "records.csv").write_text("text\na\n")
    with pytest.raises(ReadError, match=rf"own\.jsonl, line 1: .*{message}"):
        read(tmp_path, {"document": document, "question": "What?"})


def test_one_file_under_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Tea.")
    rows = [{"document": name, "question": name} for name in ("a.md", "./a.md")]
    with pytest.raises(ReadError, match=r"line 2: '\./a\.md' and 'a\.md' are the same file"):
        read(tmp_path, *rows)
