"""The HTML report, of an evaluation that is put together by hand."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pydoc_data.topics import topics
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations import Embedder
from jina_integrations.errors import EmbeddingError, MissingExtraError
from jina_integrations.evaluation.grid import Configuration
from jina_integrations.evaluation.measures import describe_measure
from jina_integrations.evaluation.questions import Evidence, Question, QuestionSet
from jina_integrations.evaluation.recommend import Recommendation
from jina_integrations.evaluation.report import render_html
from jina_integrations.evaluation.report.labels import Label, name_points
from jina_integrations.evaluation.report.plots import pareto_front
from jina_integrations.evaluation.report.rows import excerpt
from jina_integrations.evaluation.result import Difference, Evaluation, Result
from jina_integrations.ingestion.report import DocumentFailure
from jina_integrations.types import Chunk, Document

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

MEASURES = ("nDCG@10", "R@10", "RR@10")
SIZES = {"sentence:64": 240, "sentence:128": 480}
TOPICS = sorted(topics, key=lambda name: -len(topics[name]))[:32]
GAINS = {"isolated": 0, "neighbours": 1, "mix": 2, "late": -1, "bm25": -2}


def cut(document: Document, size: int) -> list[Chunk]:
    """Pieces of `size` characters, which are enough like chunks for a report."""
    starts = range(0, len(document.text), size)
    spans = [(start, min(start + size, len(document.text))) for start in starts]
    return [
        Chunk(document.id, index, start, end, document.text[start:end])
        for index, (start, end) in enumerate(spans)
    ]


def make_set() -> QuestionSet:
    documents = tuple(Document(f"python/{name}.txt", topics[name]) for name in TOPICS)
    questions: list[Question] = []
    for document, name in zip(documents, TOPICS, strict=True):
        start = document.text.index(" ", len(document.text) // 3) + 1
        piece = Evidence(document.id, start, min(start + 90, len(document.text)))
        questions.append(Question(f"q-{name}", f"What holds for {name} in Python?", (piece,)))
    return QuestionSet("Python's language reference", documents, tuple(questions))


def make_result(
    configuration: Configuration, questions: QuestionSet, chunks: tuple[Chunk, ...]
) -> Result:
    """Ranks that differ from configuration to configuration, and the hits that they mean."""
    random = np.random.default_rng(3)
    luck = random.normal(size=len(questions.questions))
    noise = np.random.default_rng(crc32(configuration.name.encode())).normal(size=luck.shape)
    gain = GAINS[configuration.method.split()[0]] + (configuration.quantization == "none")
    depth = np.rint(4 - gain + 4 * luck + 2 * noise).astype(np.int32)
    ranks = np.where(depth > 20, 0, np.maximum(depth, 1)).astype(np.int32)
    top = np.stack([random.choice(len(chunks), 10, replace=False) for _ in ranks])
    for number, question in enumerate(questions.questions):
        if 0 < ranks[number] <= 10:
            top[number, ranks[number] - 1] = right_chunk(chunks, question.evidence[0])
    hit = (ranks > 0) & (ranks <= 10)
    deep = np.maximum(ranks, 1)
    return Result(
        configuration=configuration,
        values={
            "nDCG@10": np.where(hit, 1 / np.log2(deep + 1), 0.0),
            "R@10": hit.astype(np.float64),
            "RR@10": np.where(hit, 1 / deep, 0.0),
        },
        differences={},
        ranks=ranks,
        top=top.astype(np.int32),
        chunks=len(chunks),
        tokens=int(
            (configuration.retrieval != "bm25")
            * 91_000
            * (
                1
                + (0 < configuration.context_weight < 1)
                + 0.3 * (configuration.context_weight > 0)
            )
        ),
        vector_bytes=len(chunks) * stored_bytes(configuration),
    )


def stored_bytes(configuration: Configuration) -> int:
    if configuration.retrieval == "bm25":
        return 0
    return {"none": 1536, "int8": 384}.get(configuration.quantization, 48)


def right_chunk(chunks: tuple[Chunk, ...], piece: Evidence) -> int:
    assert piece.start is not None
    return next(
        index
        for index, chunk in enumerate(chunks)
        if chunk.document_id == piece.document_id and chunk.start <= piece.start < chunk.end
    )


def with_differences(results: list[Result]) -> tuple[Result, ...]:
    """Each with its differences, their intervals by the normal approximation."""
    by_configuration = {result.configuration: result for result in results}

    def difference(result: Result, measure: str) -> Difference:
        baseline = by_configuration[result.configuration.baseline]
        gains = result.values[measure] - baseline.values[measure]
        error = 1.96 * float(gains.std()) / np.sqrt(len(gains))
        mean = float(gains.mean())
        return Difference(mean, mean - error, mean + error, float(mean > 0))

    return tuple(
        replace(result, differences={name: difference(result, name) for name in MEASURES})
        for result in results
    )


def make_evaluation() -> Evaluation:
    questions = make_set()
    chunks = {
        name: tuple(chunk for document in questions.documents for chunk in cut(document, size))
        for name, size in SIZES.items()
    }
    configurations: list[Configuration] = []
    for name in SIZES:
        base = Configuration(chunker=name)
        configurations += [base]
        configurations += [base.replace(context_weight=weight) for weight in (0.25, 0.5, 1.0)]
        configurations += [base.replace(neighbour_weight=0.3)]
        configurations += [base.replace(heading_context=True)]
        configurations += [base.replace(quantization="int8"), base.replace(quantization="binary")]
        configurations += [base.replace(retrieval="bm25"), base.replace(retrieval="hybrid")]
    return Evaluation(
        question_set=questions,
        embedder=Embedder("minilm", backend="local").to_dict(),
        results=with_differences(
            [
                make_result(configuration, questions, chunks[configuration.chunker])
                for configuration in configurations
            ]
        ),
        chunks=chunks,
        measures=MEASURES,
        measure="nDCG@10",
        failures=(),
        tokens=312_420,
        seconds=83.2,
    )


def make_recommendation(evaluation: Evaluation, **changes: object) -> Recommendation:
    chosen = Configuration(chunker="sentence:128", context_weight=0.25)
    recommendation = Recommendation(
        configuration=chosen,
        measure=evaluation.measure,
        arguments=("--embedder", "minilm", "--chunker", "sentence:128", "--context-weight", "0.25"),
        share=0.615,
        difference=evaluation.result(chosen).differences[evaluation.measure],
        reasons=("It is good.", "It is cheap."),
    )
    return replace(recommendation, **changes)


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text in some of them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "link", "img"}:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def rows(self) -> list[list[str]]:
        return [row.split("\n")[1:-1] for row in self.texts["tr"]]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return make_evaluation()


@pytest.fixture(scope="module")
def html(evaluation: Evaluation) -> str:
    return render_html(evaluation, make_recommendation(evaluation))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def small(evaluation: Evaluation) -> Evaluation:
    mixed = Configuration(chunker="sentence:128", context_weight=0.25)
    return alone(evaluation, mixed.baseline, mixed)


def alone(evaluation: Evaluation, *configurations: Configuration) -> Evaluation:
    return replace(evaluation, results=tuple(map(evaluation.result, configurations)))


def test_the_parts_come_in_order(page: Page) -> None:
    assert page.texts["h2"] == [
        "Recommendation",
        "All results",
        "Quality, cost and size",
        "Wins and losses",
        "What the measures say",
    ]
    assert page.texts["h1"] == ["Python's language reference"]
    assert page.texts["dd"][:5] == ["32", "32", "20", "312,420", "83.2 s"]


def test_nothing_is_loaded_from_anywhere(html: str, page: Page) -> None:
    loading = {"src", "srcset", "data", "poster", "action", "background", "xlink:href", "href"}
    values = [
        value or ""
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in loading
    ]
    assert values  # the markers of the plots
    assert all(value.startswith("#") for value in values)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "@import" not in html
    assert not {"link", "iframe", "object", "embed", "img", "base"} & {
        tag for tag, _ in page.elements
    }
    assert "default-src 'none'" in html


def test_ids_are_unique_and_all_references_lead_somewhere(html: str, page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r"(?:url\(|href=\"|labelledby=\")#?([\w-]+)", html)) <= set(ids)


def test_plots_say_what_they_show_and_take_the_colours_of_the_page(html: str, page: Page) -> None:
    plots = [
        picture for tag, picture in page.elements if tag == "svg" and picture.get("role") == "img"
    ]
    assert len(plots) == 4  # tokens, bytes, sizes, wins
    assert all(picture["aria-label"] and "width" not in picture for picture in plots)
    drawn = "".join(re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", drawn)) <= {
        "none",
        *(f"var(--{name})" for name in re.findall(r"--([a-z0-9]+):", html)),
    }
    assert "sentence:128 mix 0.25: " in "".join(page.texts["title"])


def test_the_recommendation_is_shown_with_its_command_and_reasons(page: Page, html: str) -> None:
    command = "jina-integrations ingest PATH --into ADDRESS --embedder minilm --chunker "
    assert page.texts["code"] == [command + "sentence:128 --context-weight 0.25"]
    assert "It is good." in page.texts["li"]
    assert "62% of the resamples" in html


def test_the_table_has_every_result(evaluation: Evaluation, page: Page) -> None:
    rows = page.rows()[1:]
    assert len(rows) == len(evaluation.results)
    for row, result in zip(rows, evaluation.results, strict=True):
        assert row[0].startswith(result.configuration.name)
        assert row[1:4] == [f"{np.mean(result.values[name]):.3f}" for name in MEASURES]
        assert row[-2] == f"{result.tokens:,}"
        difference = result.differences["nDCG@10"]
        if result.configuration != result.configuration.baseline:
            sign = "▲" if difference.low > 0 else "▼" if difference.high < 0 else ""
            assert row[4].startswith(
                f"{sign} {100 * difference.mean:+.1f}".strip().replace("-", "−")
            )
    assert any(row[0].startswith("sentence:64 isolated headings") for row in rows)
    assert sum("recommended" in row[0] for row in rows) == 1


def test_the_best_of_each_column_is_marked(evaluation: Evaluation, html: str) -> None:
    marked = {float(value) for value in re.findall(r'data-value="([^"]+)" class="best"', html)}
    assert marked == {max(result.mean(name) for result in evaluation.results) for name in MEASURES}


def test_wins_and_losses_are_those_of_the_recommended_one(
    evaluation: Evaluation, html: str, page: Page
) -> None:
    mixed = Configuration(chunker="sentence:128", context_weight=0.25)
    gains = (
        evaluation.result(mixed).values["nDCG@10"]
        - evaluation.result(mixed.baseline).values["nDCG@10"]
    )
    assert f"<b>{(gains > 0).sum()}</b> better" in html
    assert f"<b>{(gains == 0).sum()}</b> the same" in html
    assert f"<b>{(gains < 0).sum()}</b> worse" in html
    asked = [question.text for question in evaluation.question_set.questions]
    shown = [asked.index(text) for text in page.texts["h4"]]
    assert gains[shown[:5]].tolist() == sorted(gains.tolist())[::-1][:5]
    losses = sorted(gains[gains < 0].tolist())[:5]
    assert gains[shown[5:]].tolist() == losses
    names = [mixed.baseline.name, mixed.name]
    assert page.texts["h5"] == names * len(shown)


def test_a_baseline_or_nothing_recommended_compares_the_best_other(evaluation: Evaluation) -> None:
    measured = [
        result
        for result in evaluation.results
        if result.configuration.baseline != result.configuration
    ]
    best = max(measured, key=lambda result: result.mean("nDCG@10")).configuration
    baseline = make_recommendation(evaluation, configuration=best.baseline)
    few = alone(evaluation, best.baseline, best, best.baseline.replace(context_weight=1.0))
    for recommendation in (None, baseline):
        page = Page(render_html(few, recommendation))
        assert set(page.texts["h5"]) == {best.name, best.baseline.name}


def test_what_users_wrote_is_escaped(small: Evaluation) -> None:
    bad = "<script>alert('&')</script>"
    questions = small.question_set
    first = questions.documents[0]
    renamed = Document(bad, bad * 30 + first.text)
    piece = Evidence(bad, 5, 40)
    hostile = QuestionSet(
        bad,
        (renamed, *questions.documents[1:]),
        tuple(replace(question, id=question.id + bad, text=question.text + bad, evidence=(piece,))
              for question in questions.questions),
        notes=(bad,),
    )  # fmt: skip
    chunks = {
        name: tuple(Chunk(bad, question.index, 0, len(bad), bad) for question in all_chunks)
        for name, all_chunks in small.chunks.items()
    }
    changed = replace(
        small,
        question_set=hostile,
        chunks=chunks,
        embedder={"model": bad},
        failures=(DocumentFailure(bad, EmbeddingError(bad)),),
    )
    html = render_html(changed, make_recommendation(small, arguments=(bad,), reasons=(bad,)))
    assert html.count("<script") == 1
    assert "alert('" not in html
    page = Page(html)
    assert page.texts["h1"] == [bad]
    assert page.texts["h4"][0].endswith(bad)
    assert any(bad in text for text in page.texts["p"])


def test_pseudo_questions_notes_and_failures_are_told(small: Evaluation, html: str) -> None:
    changed = replace(
        small,
        question_set=replace(small.question_set, pseudo=True, notes=("3 were left out",)),
        failures=(DocumentFailure("broken.txt", EmbeddingError("a zero vector")),),
    )
    page = Page(render_html(changed))
    assert "These are pseudo-questions." in page.texts["b"]
    assert "3 were left out" in page.texts["li"]
    assert "broken.txt: a zero vector" in page.texts["li"]
    assert "pseudo-questions" not in html
    assert "could not be embedded" not in html


def test_every_measure_is_explained(page: Page) -> None:
    assert [name for name in page.texts["dt"] if name in MEASURES] == list(MEASURES)
    assert all(describe_measure(name) in page.texts["dd"] for name in MEASURES)


def test_plots_that_would_have_one_value_are_left_out(evaluation: Evaluation) -> None:
    base = Configuration(chunker="sentence:64")
    page = Page(render_html(alone(evaluation, base, base.replace(context_weight=0.5))))
    assert page.texts["h3"][:2] == ["Quality against tokens encoded", "Question by question"]
    page = Page(render_html(alone(evaluation, base)))
    assert page.texts["h3"] == ["Quality against tokens encoded"]
    assert (
        "Only baselines were measured, so there is nothing to compare them with." in page.texts["p"]
    )


def test_whole_documents_as_answers_are_named_and_not_marked(small: Evaluation) -> None:
    questions = small.question_set
    whole = tuple(
        replace(question, evidence=(Evidence(question.evidence[0].document_id),))
        for question in questions.questions
    )
    page = Page(render_html(replace(small, question_set=replace(questions, questions=whole))))
    assert "mark" not in page.texts
    facts = [text for text in page.texts["p"] if "answered by document" in text]
    assert len(facts) == len(page.texts["h4"])
    assert any("right document" in text for text in page.texts["p"])


def test_the_same_evaluation_gives_the_same_page_and_no_plot_setting_changes(
    evaluation: Evaluation, html: str
) -> None:
    with matplotlib.rc_context({"font.size": 31.0, "svg.hashsalt": "another"}):
        again = render_html(evaluation, make_recommendation(evaluation))
        assert matplotlib.rcParams["font.size"] == 31.0
    assert again == html


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_names_the_extra(
    small: Evaluation, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[eval\]"):
        render_html(small)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    costs, means = [point[0] for point in points], [float(point[1]) for point in points]
    front = pareto_front(costs, means)
    unbeaten = {
        (cost, mean)
        for cost, mean in points
        if not any(c <= cost and m >= mean and (c, m) != (cost, mean) for c, m in points)
    }
    assert [(costs[index], means[index]) for index in front] == sorted(unbeaten)


WORDS = st.text(alphabet="ab \n<é", min_size=1, max_size=300)


@given(text=WORDS, offset=st.integers(0, 50), data=st.data(), limit=st.integers(40, 120))
def test_an_excerpt_marks_what_of_it_is_evidence(
    text: str, offset: int, data: st.DataObject, limit: int
) -> None:
    start = data.draw(st.integers(0, offset + len(text) + 20))
    end = data.draw(st.integers(start + 1, start + 100))
    chunk = Chunk("d", 0, offset, offset + len(text), text)
    shown = excerpt(
        chunk, [Evidence("d", start, end), Evidence("e", 0, 9)], rank=1, max_characters=limit
    )
    touched = max(start, offset) < min(end, offset + len(text))
    assert shown.right == touched
    assert any(marked for _, marked in shown.parts) == touched
    evidence = text[max(0, start - offset) : max(0, end - offset)]
    assert all(part in evidence for part, marked in shown.parts if marked)
    parts = [part for part, _ in shown.parts]
    written = "".join(parts)
    if len(text) <= limit:
        assert written == text
        assert "".join(part for part, marked in shown.parts if marked) == evidence
    else:
        inner = written.removeprefix("… ").removesuffix(" …")
        assert inner in text
        assert len(inner) <= limit


def test_an_excerpt_of_a_long_chunk_is_the_text_around_the_evidence() -> None:
    text = "before " * 200 + "THE ANSWER " + "after " * 200
    start = text.index("THE")
    shown = excerpt(
        Chunk("d", 0, 70, 70 + len(text), text), [Evidence("d", 70 + start, 80 + start)], rank=2
    )
    assert [part for part, marked in shown.parts if marked] == ["THE ANSWER"]
    assert shown.parts[0] == ("… ", False)
    assert shown.parts[1][0].startswith("before before")
    assert shown.parts[-2][0].endswith("after")
    assert shown.parts[-1] == (" …", False)


def test_names_of_crowded_points_do_not_cover_each_other() -> None:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    axes = Figure(figsize=(10.4, 4.8)).subplots()
    points = [(float(x), 0.7 + 0.004 * x) for x in range(8)]
    axes.set(xlim=(-20, 30), ylim=(0.4, 1.0))
    name_points(
        axes, [Label(f"sentence:{64 * x} mix 0.25", *points[x], "k") for x in range(8)], points
    )
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the leading lines
    assert len(boxes) == 8
    assert not any(
        box.overlaps(other) for number, box in enumerate(boxes) for other in boxes[:number]
    )
