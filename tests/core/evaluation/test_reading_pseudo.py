"""Pseudo-questions: what they ask, what answers them, and that nothing of them is left in the text.

The references are the sections, paragraphs and sentences that the tests write, found by plain
comparison of strings.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_integrations.errors import ReadError
from jina_integrations.evaluation.questions import Question, QuestionSet
from jina_integrations.evaluation.reading import read_questions
from jina_integrations.types import Heading


@dataclass
class Section:
    heading: str  # empty for none
    underlined: bool
    paragraphs: list[list[str]]
    wrapped: bool

    def markdown(self) -> str:
        head = f"{self.heading}\n=====" if self.underlined else f"## {self.heading} ##"
        between = "\n" if self.wrapped else " "
        parts = [head] if self.heading else []
        return "\n\n".join([*parts, *(between.join(paragraph) for paragraph in self.paragraphs)])


def words(numbers: itertools.count[int], count: int, first: str) -> str:
    """A sentence of words that no other has."""
    return " ".join([f"{first}{next(numbers)}", *(f"w{next(numbers)}" for _ in range(count - 1))])


@st.composite
def folders(draw: st.DrawFn) -> list[list[Section]]:
    """Documents, each of sections; no two sentences or headings share a word."""
    numbers = itertools.count(100_000)
    first = st.sampled_from(["W", "Ü", "𐐀x", "Z*y*"])
    lengths = st.sampled_from([1, 2, 5, 6, 7, 20, 40, 41])
    documents: list[list[Section]] = []
    for _ in range(draw(st.integers(1, 4))):
        sections: list[Section] = []
        for number in range(draw(st.integers(1, 4))):
            headed = bool(number) or draw(st.booleans())
            paragraphs = [
                [
                    words(numbers, draw(lengths), draw(first)) + draw(st.sampled_from(".!?"))
                    for _ in range(draw(st.integers(1, 5)))
                ]
                for _ in range(draw(st.integers(0 if headed else 1, 3)))
            ]
            heading = words(numbers, draw(st.integers(1, 4)), "W") if headed else ""
            sections.append(Section(heading, draw(st.booleans()), paragraphs, draw(st.booleans())))
        documents.append(sections)
    return documents


def normal(text: str) -> str:
    return " ".join(text.split())


def answer(question_set: QuestionSet, question: Question) -> str:
    texts = {document.id: document.text for document in question_set.documents}
    (evidence,) = question.evidence
    return texts[evidence.document_id][evidence.start : evidence.end]


def plain(sentence: str) -> str:
    return sentence.replace("*y*", "y")


@settings(max_examples=60, deadline=None)
@given(folder=folders(), count=st.integers(1, 30), seed=st.integers(0, 5))
def test_offsets_hold_in_the_text_that_is_left(
    folder: list[list[Section]], count: int, seed: int
) -> None:
    sections = [section for document in folder for section in document]
    paragraphs = [paragraph for section in sections for paragraph in section.paragraphs]
    possible_headings = [
        section.heading for section in sections if " " in section.heading and section.paragraphs
    ]
    possible = [
        paragraph
        for paragraph in paragraphs
        if len(paragraph) >= 3 and any(6 <= len(s.split()) <= 40 for s in paragraph)
    ]
    with tempfile.TemporaryDirectory() as root:
        for number, document in enumerate(folder):
            text = "\n\n".join(section.markdown() for section in document)
            (Path(root) / f"{number}.md").write_text(text, encoding="utf-8")
        if not possible_headings and not possible:
            with pytest.raises(ReadError, match="no question can be made"):
                read_questions(root, pseudo_questions=count, seed=seed)
            return
        question_set = read_questions(root, pseudo_questions=count, seed=seed)

    asked = {question.text for question in question_set.questions}
    assert (
        len(asked)
        == len(question_set.questions)
        == min(count, len(possible_headings) + len(possible))
    )
    kept = [
        [sentence for sentence in paragraph if plain(sentence) not in asked]
        for paragraph in paragraphs
    ]
    assert all(
        len(paragraph) - len(left) <= 1 for paragraph, left in zip(paragraphs, kept, strict=True)
    )
    for question in question_set.questions:
        evidence = answer(question_set, question)
        assert evidence == evidence.strip()
        if question.id.startswith("heading"):
            (section,) = [section for section in sections if section.heading == question.text]
            rest = [sentence for paragraph in section.paragraphs for sentence in paragraph]
        else:
            (rest,) = [
                paragraph for paragraph in paragraphs if question.text in map(plain, paragraph)
            ]
            assert len(rest) >= 3
            assert 6 <= len(question.text.split()) <= 40
        assert normal(evidence) == " ".join(
            sentence for sentence in rest if plain(sentence) not in asked
        )

    remaining = [normal(document.text) for document in question_set.documents]
    assert not any(
        question.text in text for question in question_set.questions for text in remaining
    )
    for document, text in zip(folder, remaining, strict=True):
        written = [
            sentence for part in document for paragraph in part.paragraphs for sentence in paragraph
        ]
        assert [sentence for sentence in written if sentence in text] == [
            sentence for sentence in written if plain(sentence) not in asked
        ]
    counts = Counter(question.id.split()[0] for question in question_set.questions)
    fair = min(len(possible_headings), (count + 1) // 2)
    assert counts["heading"] >= fair
    assert counts["sentence"] >= min(len(possible), count // 2)


ONE = (
    "---\ntitle: Front matter here\n---\n\n# Making green tea\n\nBoil the water. Wait for a while. "
    "Then pour it slowly over all of the leaves. It is done.\n\n```\n# not a heading\n```\n\n"
    "Serving\n-------\n\nServe it hot.\n\n#\n\n## The *best* `cups` of [all](x.md)\n\n- cups\n"
    "\n## Nothing here\n"
)


def test_headings_and_sentences_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text(ONE)
    question_set = read_questions(tmp_path)
    asked = {question.text: answer(question_set, question) for question in question_set.questions}
    assert asked == {
        "Making green tea": "Boil the water. Wait for a while. It is done.\n\n"
        "```\n# not a heading\n```",
        "Then pour it slowly over all of the leaves.": "Boil the water. Wait for a while. "
        "It is done.",
        "The best cups of all": "- cups",
    }
    assert question_set.documents[0].text == (
        "---\ntitle: Front matter here\n---\n\n\n\nBoil the water. Wait for a while. "
        "It is done.\n\n```\n# not a heading\n```\n\n"
        "Serving\n-------\n\nServe it hot.\n\n#\n\n\n\n- cups\n\n## Nothing here\n"
    )
    assert [question.id for question in question_set.questions] == [
        "heading 1",
        "sentence 2",
        "heading 3",
    ]
    assert question_set.pseudo
    assert question_set.notes == (
        "pseudo-questions of headings (2) and sentences (1), removed from the documents (seed 0)",
    )


def test_words_are_counted_in_languages_without_spaces(tmp_path: Path) -> None:
    (tmp_path / "北京.md").write_text(
        "# 北京的天气\n\n今天天气很好。我们去公园散步，然后一起回家吃饭！你来吗？\n",
        encoding="utf-8",
    )
    question_set = read_questions(tmp_path)
    assert {
        question.text: answer(question_set, question) for question in question_set.questions
    } == {
        "北京的天气": "今天天气很好。你来吗？",
        "我们去公园散步，然后一起回家吃饭！": "今天天气很好。你来吗？",
    }


def test_a_question_that_stands_elsewhere_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Making tea\n\nBoil.\n\n# Making *some* coffee\n\nGrind.\n")
    (tmp_path / "b.txt").write_text("See Making\ntea.")
    assert [question.text for question in read_questions(tmp_path).questions] == [
        "Making some coffee"
    ]
    (tmp_path / "c.md").write_text("# Making *some* coffee\n\nFilter.\n")
    with pytest.raises(ReadError, match="no question can be made out of 3 documents: this needs"):
        read_questions(tmp_path)


def test_only_markdown_has_headings(tmp_path: Path) -> None:
    prose = "Tea is hot. Ice is cold. Air is neither hot nor cold today."
    (tmp_path / "a.txt").write_text(f"# Not a heading\n\n{prose}\n")
    (tmp_path / "b.md").write_text(
        "> # A quoted heading\n\n- One. Two. Three is long enough now.\n"
    )
    question_set = read_questions(tmp_path)
    assert [question.text for question in question_set.questions] == [
        "Air is neither hot nor cold today."
    ]
    assert question_set.documents[1].text == (tmp_path / "b.md").read_text()


def test_lines_are_paragraphs_where_no_blank_line_parts_them(tmp_path: Path) -> None:
    rows = [
        f"Row {n} begins. It goes on. And row {n} ends with more than six words." for n in range(80)
    ]
    (tmp_path / "long.txt").write_text("\n".join(rows))
    question_set = read_questions(tmp_path)
    assert len(question_set.questions) == 80
    for question in question_set.questions:
        assert f"{answer(question_set, question)} {question.text}" in rows


def sentences(name: str, count: int) -> str:
    return "\n\n".join(
        f"It is {name}. So be it. Number {n} of {name} is a long one." for n in range(count)
    )


def test_documents_take_turns(tmp_path: Path) -> None:
    for name, count in (("few", 2), ("many", 90), ("more", 50)):
        (tmp_path / f"{name}.txt").write_text(sentences(name, count))
    question_set = read_questions(tmp_path, pseudo_questions=30)
    counts = Counter(question.evidence[0].document_id for question in question_set.questions)
    name = tmp_path.name
    assert counts == {f"{name}/few.txt": 2, f"{name}/many.txt": 14, f"{name}/more.txt": 14}


def test_the_seed_decides_which_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(sentences("this", 40))
    drawn = [read_questions(tmp_path, pseudo_questions=10, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].questions != drawn[2].questions
    assert "seed 2" in drawn[2].notes[0]


def test_files_that_give_no_document_are_noted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(sentences("this", 1))
    (tmp_path / "bad.txt").write_bytes("Köln ist schön".encode() + b"\xff")
    for name in ("1.png", "2.png", "3.png", ".4"):
        (tmp_path / name).write_bytes(b"x")
    notes = read_questions(tmp_path).notes
    assert notes[1].startswith(
        f"left out (1): failed files or records: {tmp_path.name}/bad.txt (byte 16 is not valid"
    )
    skipped = [
        f"{tmp_path.name}/{name}"
        for name in (".4 (hidden)", "1.png (unknown type .png)", "2.png (unknown type .png)")
    ]
    assert notes[2] == f"left out (4): skipped files or records: {', '.join(skipped)}, …"


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no question can be made out of 0 documents"):
        read_questions(tmp_path)


def test_a_heading_that_is_asked_for_is_in_no_path_and_no_title(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Opening hours\n\nNine to five.\n\n# Way\n\nBy bus.\n")
    question_set = read_questions(tmp_path, pseudo_questions=5)
    (question,) = question_set.questions
    (document,) = question_set.documents
    assert question.text == "Opening hours"
    assert document.text == "\n\nNine to five.\n\n# Way\n\nBy bus.\n"
    assert document.headings == (Heading(document.text.index("# Way"), 1, "Way"),)
    assert document.metadata["title"] == "a.md"
