"""Which form a path is read as, and what no form takes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jina_integrations.errors import InvalidInputError, InvalidSettingError, ReadError
from jina_integrations.evaluation.reading import read_questions

SQUAD = {
    "data": [
        {
            "title": "Tea",
            "paragraphs": [
                {
                    "context": "Tea is hot.",
                    "qas": [
                        {
                            "id": "q",
                            "question": "What is hot?",
                            "answers": [{"text": "Tea", "answer_start": 0}],
                        }
                    ],
                }
            ],
        }
    ]
}
LINES = [
    {"document": "a", "text": "Tea is hot. Ice is cold. Air is neither of both."},
    {"document": "a", "question": "What is hot?", "start": 0, "end": 3},
]
PROSE = "Tea is hot. Ice is cold. Air is neither hot nor cold today."


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Path]:
    """A path of each form."""
    beir, chunking, folder = tmp_path / "beir", tmp_path / "chunking", tmp_path / "folder"
    for path in (beir / "qrels", chunking, folder):
        path.mkdir(parents=True)
    (tmp_path / "set.json").write_text(json.dumps(SQUAD))
    (tmp_path / "set.JSONL").write_text(lines(*LINES))
    (beir / "corpus.jsonl").write_text(lines({"_id": "d", "title": "", "text": PROSE}))
    (beir / "queries.jsonl").write_text(lines({"_id": "q", "text": "What is hot?"}))
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    reference = '[{""content"": ""Tea"", ""start_index"": 0, ""end_index"": 3}]'
    (chunking / "questions.csv").write_text(
        f'question,references,corpus_id\nWhat is hot?,"{reference}",tea\n'
    )
    (chunking / "tea.md").write_text(PROSE)
    (folder / "tea.txt").write_text(PROSE)
    return {
        "squad": tmp_path / "set.json",
        "json-lines": tmp_path / "set.JSONL",
        "beir": beir,
        "chunking-evaluation": chunking,
        "documents": folder,
    }


@pytest.mark.parametrize(
    ("form", "name", "unit"),
    [
        ("squad", "set", "chunk"),
        ("json-lines", "set", "chunk"),
        ("beir", "beir/test", "document"),
        ("chunking-evaluation", "chunking", "chunk"),
        ("documents", "folder", "chunk"),
    ],
)
def test_a_form_is_detected_by_what_is_there(
    forms: dict[str, Path], form: str, name: str, unit: str
) -> None:
    question_set = read_questions(forms[form])
    assert question_set == read_questions(str(forms[form]), form=form)
    assert (question_set.name, question_set.unit, len(question_set.questions)) == (name, unit, 1)
    assert question_set.pseudo == (form == "documents")


def test_a_single_text_file_is_read_as_documents(forms: dict[str, Path]) -> None:
    assert read_questions(forms["documents"] / "tea.txt").pseudo


def test_json_lines_can_be_read_as_documents(tmp_path: Path) -> None:
    records = lines({"text": PROSE, "id": 1}, {"text": "Nothing else.", "id": 2})
    (tmp_path / "records.jsonl").write_text(records)
    question_set = read_questions(tmp_path / "records.jsonl", form="documents")
    path = f"{tmp_path.name}/records.jsonl"
    assert [document.id for document in question_set.documents] == [f"{path}#1", f"{path}#2"]
    assert question_set.pseudo


@pytest.mark.parametrize("form", ["squad", "json-lines", "chunking-evaluation", "documents"])
def test_a_split_of_a_form_that_has_none_is_refused(forms: dict[str, Path], form: str) -> None:
    with pytest.raises(InvalidSettingError, match="only the form 'beir' has one"):
        read_questions(forms[form], split="test")


def test_settings_out_of_range_are_refused(forms: dict[str, Path]) -> None:
    with pytest.raises(InvalidSettingError, match="'csv' is none of 'squad', 'beir'"):
        read_questions(forms["beir"], form="csv")
    with pytest.raises(InvalidSettingError, match="pseudo_questions must be 1 or more, not 0"):
        read_questions(forms["documents"], pseudo_questions=0)
    with pytest.raises(InvalidInputError, match="seed must be an int of at least 0, not -1"):
        read_questions(forms["documents"], seed=-1)


def test_a_path_that_does_not_fit_the_form_is_refused(forms: dict[str, Path]) -> None:
    with pytest.raises(ReadError, match="no such file or folder: 'nowhere'"):
        read_questions("nowhere")
    with pytest.raises(ReadError, match=r"beir: cannot be read: Is a directory"):
        read_questions(forms["beir"], form="squad")
    with pytest.raises(ReadError, match=r"questions\.csv: cannot be read"):
        read_questions(forms["documents"], form="chunking-evaluation")
    with pytest.raises(ReadError, match=r"needs a file such as qrels/test\.tsv"):
        read_questions(forms["squad"], form="beir")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ReadError, match=r"pipe\.json: is not a regular file"):
        read_questions(tmp_path / "pipe.json")


def test_a_byte_order_mark_is_no_part_of_any_form(forms: dict[str, Path]) -> None:
    mark = b"\xef\xbb\xbf"
    before = {form: read_questions(path) for form, path in forms.items()}
    files = [
        forms["squad"],
        forms["json-lines"],
        *(forms["beir"] / name for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")),
        *forms["chunking-evaluation"].iterdir(),
    ]
    for file in files:
        file.write_bytes(mark + file.read_bytes())
    assert {form: read_questions(path) for form, path in forms.items()} == before


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("set.json", 1),
        ("set.JSONL", 2),
        ("beir/corpus.jsonl", 1),
        ("beir/queries.jsonl", 1),
        ("beir/qrels/test.tsv", 2),
        ("chunking/questions.csv", 2),
        ("chunking/tea.md", 1),
    ],
)
def test_bytes_that_are_not_utf8_are_refused_with_their_line(
    forms: dict[str, Path], name: str, line: int
) -> None:
    root = forms["squad"].parent
    file = root / name
    rows = file.read_bytes().split(b"\n")
    rows[line - 1] = rows[line - 1][:-1] + b"\xff" + rows[line - 1][-1:]
    file.write_bytes(b"\n".join(rows))
    with pytest.raises(ReadError, match=rf"{file.name}: line {line}: byte 0xff is not valid UTF-8"):
        read_questions(root / name.split("/", maxsplit=1)[0])
