import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_integrations.chunkers import MarkdownChunker, markdown_blocks
from jina_integrations.errors import InvalidSettingError

LIMIT = 48

WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "gamma", "Straße", "公园", "вода"]), min_size=1, max_size=8
)
SENTENCE = WORDS.map(lambda words: " ".join(words).capitalize() + ".")
HEADING = st.builds(
    lambda level, words: ("heading", "#" * level + " " + " ".join(words)), st.integers(1, 3), WORDS
)
PARAGRAPH = st.lists(SENTENCE, min_size=1, max_size=9).map(lambda s: ("paragraph", " ".join(s)))
FENCE = st.lists(st.sampled_from(["x = 1", "", "# no heading", "- no item"]), max_size=12).map(
    lambda lines: ("whole", "\n".join(["```python", "a()", *lines, "b()", "```"]))
)
TABLE = st.lists(WORDS, min_size=1, max_size=6).map(
    lambda rows: (
        "whole",
        "\n".join(["| a | b |", "|---|---|", *(f"| {w[0]} | z |" for w in rows)]),
    )
)
LIST = st.lists(WORDS, min_size=1, max_size=6).map(
    lambda items: ("whole", "\n".join("- " + " ".join(words) for words in items))
)
BLOCKS = st.lists(st.one_of(HEADING, PARAGRAPH, FENCE, TABLE, LIST), min_size=1, max_size=12)


def cut(text, tokenizer, max_tokens=LIMIT):
    return [text[a:b] for a, b in MarkdownChunker(max_tokens).spans(text, tokenizer)]


@settings(max_examples=150, deadline=None)
@given(blocks=BLOCKS)
def test_structure_is_kept(minilm, check, blocks):
    # Two lists in a row would be one.
    blocks = [b for i, b in enumerate(blocks) if i == 0 or blocks[i - 1][1][0] + b[1][0] != "--"]
    text, places = "", []
    for _, source in blocks:
        places.append((len(text), len(text) + len(source)))
        text += source + "\n\n"
    spans = MarkdownChunker(LIMIT).spans(text, minilm)
    check(text, spans, minilm, LIMIT)

    def fits(start, end):
        return minilm.count(text[start:end]) + minilm.overhead <= LIMIT

    for index, ((kind, _), (start, end)) in enumerate(zip(blocks, places, strict=True)):
        if kind == "whole" and fits(start, end):
            assert any(a <= start and end <= b for a, b in spans), text[start:end]
        if kind == "heading":
            after = index + 1 < len(blocks) and blocks[index + 1][0]
            if index and blocks[index - 1][0] != "heading":
                assert not any(a < start < b for a, b in spans), "a chunk of two sections"
            if after == "paragraph" or (after == "whole" and not fits(*places[index + 1])):
                assert all(b != end for _, b in spans), "a heading without its text"


def test_sections_are_apart_and_headings_stay_with_their_text(minilm):
    text = "Preface.\n\n# Title\n\n## Part\n\nOne.\n\nTwo.\n\nPart two\n---\n\nThree.\n"
    assert cut(text, minilm) == [
        "Preface.",
        "# Title\n\n## Part\n\nOne.\n\nTwo.",
        "Part two\n---\n\nThree.",
    ]


def test_headings_that_fill_a_chunk_are_cut_apart(minilm):
    one, two = "# one two three four five six", "## one two three four five six"
    assert cut(f"{one}\n\n{two}\n\nText.", minilm, 18) == [one, f"{two}\n\nText."]
    assert cut(f"Text.\n\n{one}\n\n{two}", minilm, 18) == ["Text.", f"{one}\n\n{two}"]


def test_a_block_is_whole_rather_than_filling_the_chunk_before(minilm):
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    paragraph = "Some words of a paragraph that take up a good part of a chunk."
    limit = minilm.count(table) + minilm.overhead
    assert cut(f"{paragraph}\n\n{table}", minilm, limit) == [paragraph, table]


def test_code_that_fits_only_without_its_heading_is_whole(minilm):
    code = "```\none = 1\n\ntwo = 2\n```"
    limit = minilm.count(code) + minilm.overhead
    assert cut(f"# Setup\n\n{code}", minilm, limit) == ["# Setup", code]
    assert cut(f"# Setup\n\n{code}", minilm, limit - 1)[0].startswith("# Setup\n\n```\none")


def test_long_code_is_cut_at_blank_lines_then_lines(minilm):
    text = "```python\nfirst = 1\nsecond = 2\n\nthird = 3\nfourth = 4\n\nfifth = 5\n```"
    assert cut(text, minilm, 16) == [
        "```python\nfirst = 1\nsecond = 2",
        "third = 3\nfourth = 4\n\nfifth = 5\n```",
    ]
    assert cut(text, minilm, 9)[:2] == ["```python\nfirst = 1", "second = 2"]


def test_a_long_table_is_cut_between_rows(minilm):
    text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |"
    chunks = cut(text, minilm, minilm.count("| a | b |\n|---|---|\n| 1 | 2 |") + minilm.overhead)
    assert chunks == ["| a | b |\n|---|---|\n| 1 | 2 |", "| 3 | 4 |\n| 5 | 6 |"]


def test_a_long_list_is_cut_between_items_then_inside(minilm):
    text = "- one two\n  - three four\n  - five six\n- seven eight\n- nine ten"
    assert cut(text, minilm, 11) == [
        "- one two\n  - three four\n  - five six",
        "- seven eight\n- nine ten",
    ]
    assert cut(text, minilm, 8) == [
        "- one two",
        "- three four\n  - five six",
        "- seven eight\n- nine ten",
    ]


def test_headings_in_code_and_quotes_begin_no_section(minilm):
    text = "```sh\n# comment\nls\n```\n\n> # quoted\n>\n> text"
    assert cut(text, minilm) == [text]


def test_front_matter_is_no_heading(minilm):
    text = "---\r\ntitle: a\r\n# note\r\n---\r\n# One\r\nText.\r\n\r\nTwo\r\n---\r\nText."
    assert cut(text, minilm) == [
        "---\r\ntitle: a\r\n# note\r\n---",
        "# One\r\nText.",
        "Two\r\n---\r\nText.",
    ]
    assert cut("---\na: b\n---", minilm) == ["---\na: b\n---"]
    assert cut("---\n\n# One\n\nText.\n\n---", minilm) == ["---\n\n# One\n\nText.\n\n---"]


def test_a_rule_goes_with_what_follows(minilm):
    assert cut("One.\n\n---\n\n# Two\n\nText.", minilm) == ["One.", "---\n\n# Two\n\nText."]


def test_carriage_returns_and_links(minilm):
    text = "# A\r\n\r\nSee [x].\r\rOther.\r\n\r\n[x]: https://e.org\r\n\r\n# B\r\nText."
    assert cut(text, minilm) == [
        "# A\r\n\r\nSee [x].\r\rOther.\r\n\r\n[x]: https://e.org",
        "# B\r\nText.",
    ]


LINES = st.lists(
    st.sampled_from(
        ["", "text", "# head", "---", "===", "- item", "  more", "    deep", "1. one", "```", "~~~",
         "> quote", ">> two", "| a | b |", "|---|---|", "| 1 | 2 |", "<div>", "</div>", "[a]: /x",
         "- - nested", "\ttab", "<!-- c", "-->"]
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(lines=LINES, newline=st.sampled_from(["\n", "\r\n"]))
def test_parsing_in_slices_finds_the_same_blocks(lines, newline):
    text = newline.join(lines)
    whole = list(markdown_blocks.markdown_blocks(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown_blocks, "_SLICE_LINES", 2)
        sliced = list(markdown_blocks.markdown_blocks(text))
    assert [block.start for block in sliced] == [block.start for block in whole]
    top = {block.start for block in whole if block.depth == 0}
    assert top <= {block.start for block in sliced if block.depth == 0}


def test_a_list_longer_than_a_slice(minilm, check):
    text = "# Many\n\n" + "- item\n" * 10_000
    spans = MarkdownChunker(64).spans(text, minilm)
    check(text, spans, minilm, 64)
    assert all(text[end - 6 : end] == "- item" for _, end in spans)


def test_settings():
    assert MarkdownChunker(99).to_dict() == {"chunker": "markdown", "max_tokens": 99}
    for max_tokens in (0, True, None, 1.0):
        with pytest.raises(InvalidSettingError, match="max_tokens"):
            MarkdownChunker(max_tokens)
