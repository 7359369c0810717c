"""The layout of chunking_evaluation: offsets into corpora that are read byte for byte."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from jina_integrations.errors import ReadError
from jina_integrations.evaluation.questions import QuestionSet
from jina_integrations.evaluation.reading import read_questions

CORPUS = "Tée is hot.\r\nIce\tis cold. 😀\n\nAir is neither.\n"


def reference(content: str, start: int | None = None) -> dict[str, object]:
    begin = CORPUS.index(content) if start is None else start
    return {"content": content, "start_index": begin, "end_index": begin + len(content)}


def write(folder: Path, *rows: tuple[str, object, str]) -> Path:
    with (folder / "questions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", "question", "references", "corpus_id"])
        for number, (question, references, corpus_id) in enumerate(rows):
            writer.writerow([number, question, json.dumps(references), corpus_id])
    return folder


def read(folder: Path, *rows: tuple[str, object, str]) -> QuestionSet:
    (folder / "drinks.md").write_bytes(CORPUS.encode())
    return read_questions(write(folder, *rows))


def test_offsets_count_in_the_corpus_with_its_own_line_ends(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora/other.txt").write_text("Wine.", newline="")
    (folder / "LICENSE.md").write_text("Not asked about.")
    question_set = read(
        folder,
        ("What is\ncold, or not?", [reference("Ice\tis cold"), reference("neither")], "drinks"),
        ("Which smiles?", [reference("😀"), reference("😀")], "drinks"),
        ("What else?", [reference("Wine.", 0)], "other"),
    )
    texts = {document.id: document.text for document in question_set.documents}
    assert texts == {"drinks": CORPUS, "other": "Wine."}
    assert [
        (
            question.id,
            question.text,
            [texts[piece.document_id][piece.start : piece.end] for piece in question.evidence],
        )
        for question in question_set.questions
    ] == [
        ("1", "What is\ncold, or not?", ["Ice\tis cold", "neither"]),
        ("2", "Which smiles?", ["😀"]),
        ("3", "What else?", ["Wine."]),
    ]
    assert (question_set.name, question_set.notes) == ("set", ())


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    question_set = read(
        tmp_path,
        ("Kept?", [reference("Ice"), reference("Ice", 3)], "drinks"),
        ("None?", [], "drinks"),
        ("Wrong?", [reference("Tea", 0), reference("", 2), reference("Ice", -9)], "drinks"),
    )
    assert [question.id for question in question_set.questions] == ["1"]
    assert question_set.notes == (
        "left out (4): references that are blank or not at start_index to end_index "
        "(were the corpora's line ends changed?)",
        "left out (1): questions without a reference",
        "left out (1): questions of which that was every reference",
    )


def test_changed_line_ends_are_suspected_where_nothing_fits(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Cold?", [reference("Ice")], "drinks"))
    (folder / "drinks.md").write_bytes(CORPUS.replace("\r\n", "\n").encode())
    with pytest.raises(ReadError, match=r"no question .*were the corpora's line ends changed"):
        read_questions(folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Q?", [reference("Ice")], "gone"), "no file is the corpus 'gone': gone.md, gone.txt, co"),
        (("Q?", [reference("Ice")], "x" * 300), "no file is the corpus"),
        (("Q?", [reference("Ice")], "../drinks"), "must be the name of a file, without a folder"),
        (("Q?", [reference("Ice")], ""), '"corpus_id" must be a string that is not empty'),
        (("Q?", {}, "drinks"), '"references" must be a list, not an object'),
        (("Q?", ["Ice"], "drinks"), r"references\[0\]: must be a JSON object, not a string"),
        (("Q?", [{"content": "Ice"}], "drinks"), 'needs "start_index": an integer'),
        (("Q?", [{**reference("Ice"), "content": None}], "drinks"), '"content" must be a string'),
        (("Q\0?", [reference("Ice")], "drinks"), '"question": text has a NUL character'),
    ],
)
def test_a_bad_row_is_refused_with_its_line(
    tmp_path: Path, row: tuple[str, object, str], message: str
) -> None:
    first = ("Two\nlines?", [reference("Ice")], "drinks")
    with pytest.raises(ReadError, match=rf"questions\.csv, line 4.*{message}"):
        read(tmp_path, first, row)


def test_a_blank_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="question '1': text is empty"):
        read(tmp_path, ("", [reference("Ice")], "drinks"))


def test_two_files_of_one_corpus_are_refused(tmp_path: Path) -> None:
    (tmp_path / "drinks.txt").write_text(CORPUS)
    with pytest.raises(ReadError, match=r"several files are the corpus 'drinks': drinks\.md, dr"):
        read(tmp_path, ("Q?", [reference("Ice")], "drinks"))


def test_a_blank_corpus_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Q?", [reference("Ice")], "blank"))
    (folder / "blank.txt").write_text("\n")
    with pytest.raises(ReadError, match=r"blank\.txt: is blank, and line 2 of questions\.csv"):
        read_questions(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r": must have a column question and a column references and a column corpus_id"),
        ("question,references\n", r": must have a column corpus_id, once"),
        ("question,references,corpus_id,question\n", r": must have a column question, once"),
        ("question,references,corpus_id\na,b\n", r", line 2: 2 cells under 3 columns"),
        ("question,references,corpus_id\na,b,c\n", r", line 2: not valid JSON"),
        ('question,references,corpus_id\n\n"a"x,[],c\n', r", line 3: not valid CSV"),
    ],
)
def test_other_csv_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "questions.csv").write_text(content)
    with pytest.raises(ReadError, match=rf"questions\.csv{message}"):
        read_questions(tmp_path)


def test_a_cell_may_be_longer_than_csv_allows_by_itself(tmp_path: Path) -> None:
    question_set = read(tmp_path, ("Many?", [reference("Ice")] * 3000, "drinks"))
    assert (tmp_path / "questions.csv").stat().st_size > 131_072
    assert len(question_set.questions[0].evidence) == 1
