"""SQuAD's JSON: offsets that fit the joined text, and a note of everything left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jina_integrations.errors import ReadError
from jina_integrations.evaluation.questions import QuestionSet
from jina_integrations.evaluation.reading import read_questions


def qa(key: str, *answers: tuple[str, int], **more: object) -> dict[str, Any]:
    entries = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": key, "question": f"Question {key}?", "answers": entries, **more}


def article(title: str, *paragraphs: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    entries = [{"context": context, "qas": qas} for context, qas in paragraphs]
    return {"title": title, "paragraphs": entries}


def read(tmp_path: Path, *articles: object) -> QuestionSet:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"version": "1.1", "data": articles}))
    return read_questions(path)


def answers(question_set: QuestionSet) -> dict[str, list[str]]:
    texts = {document.id: document.text for document in question_set.documents}
    return {
        question.id: [
            texts[piece.document_id][piece.start : piece.end] for piece in question.evidence
        ]
        for question in question_set.questions
    }


def test_offsets_count_in_the_paragraphs_joined_by_a_blank_line(tmp_path: Path) -> None:
    question_set = read(
        tmp_path,
        article(
            "Städte",
            ("Köln 😀 liegt am Rhein.", [qa("1", ("Rhein", 16))]),
            ("北京是首都。", [qa("2", ("首都", 3), ("北京", 0))]),
        ),
        article("Other", ("Rhein", [qa("3", ("Rhein", 0))])),
    )
    assert [document.id for document in question_set.documents] == ["Städte", "Other"]
    assert question_set.documents[0].text == "Köln 😀 liegt am Rhein.\n\n北京是首都。"
    assert answers(question_set) == {"1": ["Rhein"], "2": ["首都", "北京"], "3": ["Rhein"]}
    assert question_set.questions[1].evidence[0].start == 24 + 3
    assert question_set.notes == ()
    assert question_set.name == "own"


def test_the_same_answer_of_several_people_is_one_piece_of_evidence(tmp_path: Path) -> None:
    question_set = read(tmp_path, article("A", ("a b a", [qa("1", ("a", 0), ("a", 4), ("a", 0))])))
    assert [(piece.start, piece.end) for piece in question_set.questions[0].evidence] == [
        (0, 1),
        (4, 5),
    ]


def test_articles_with_one_title_or_none_get_ids_of_their_own(tmp_path: Path) -> None:
    first = article("T", ("a", [qa("1", ("a", 0))]))
    second = article("T (2)", ("b", []))
    third = article("T", ("c", [qa("3", ("c", 0))]))
    fourth = article("", ("d", []))
    del fourth["title"]
    question_set = read(tmp_path, first, second, third, fourth)
    assert [document.id for document in question_set.documents] == [
        "T",
        "T (2)",
        "T (3)",
        "article 4",
    ]
    assert answers(question_set) == {"1": ["a"], "3": ["c"]}


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    question_set = read(
        tmp_path,
        article(
            "A",
            (
                "alpha beta",
                [
                    qa("kept", ("alpha", 0), ("beta", 5)),
                    qa("impossible", is_impossible=True, plausible_answers=[]),
                    qa("none"),
                    qa("wrong", ("gamma", 0), ("", 2), ("alpha", -10)),
                ],
            ),
        ),
        article("Empty"),
    )
    assert answers(question_set) == {"kept": ["alpha"]}
    assert [document.id for document in question_set.documents] == ["A"]
    assert question_set.notes == (
        "left out (4): answers that are blank or not where answer_start says",
        "left out (2): questions without an answer",
        "left out (1): questions of which that was every answer",
        "left out (1): articles without text",
    )


def test_a_file_without_an_answer_is_refused_with_the_reasons(tmp_path: Path) -> None:
    reasons = "no question in it can be measured; left out \\(1\\): questions without an answer"
    with pytest.raises(ReadError, match=reasons):
        read(tmp_path, article("A", ("alpha", [qa("1")])))


def test_two_questions_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"own\.json: two questions have the id '1'"):
        read(tmp_path, article("A", ("alpha", [qa("1", ("alpha", 0)), qa("1", ("alpha", 0))])))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("title",), 1.5, r'data\[0\]: "title" must be a string that is not empty, or an integer'),
        (("paragraphs",), {}, r'data\[0\]: "paragraphs" must be a list, not an object'),
        (("paragraphs", 0), "x", r"data\[0\], paragraphs\[0\]: must be a JSON object, not a str"),
        (("paragraphs", 0, "context"), None, r'"context" must be a string, not null'),
        (("paragraphs", 0, "context"), "a\0b", r'"context": text has a NUL character at 1'),
        (
            ("paragraphs", 0, "context"),
            "a\ud800",
            r'"context": text has the lone surrogate U\+D800',
        ),
        (("paragraphs", 0, "qas", 0, "question"), 3, r'"question" must be a string, not a number'),
        (("paragraphs", 0, "qas", 0, "question"), " ", r"question '1': text is only whitespace"),
        (
            ("paragraphs", 0, "qas", 0, "is_impossible"),
            "no",
            r"must be true or false, not a string",
        ),
        (
            ("paragraphs", 0, "qas", 0, "answers", 0, "answer_start"),
            True,
            r"qas\[0\], answers\[0\]: \"answer_start\" must be an integer, not true or false",
        ),
        (("paragraphs", 0, "qas", 0, "answers", 0), {}, r'answers\[0\]: needs "text": a string'),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    wrong = article("A", ("alpha", [qa("1", ("alpha", 0))]))
    inner: Any = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ReadError, match=message):
        read(tmp_path, wrong)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must be a JSON object, not a list"),
        ('{"a": 1}', 'has no "data", so it is not in the form of SQuAD; with form="documents"'),
        ('{\n"data": [}', "not valid JSON: Expecting value: line 2"),
        ("[" * 100_000, "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(ReadError, match=rf"own\.json: {message}"):
        read_questions(tmp_path / "own.json")
