"""Readers over real files: what becomes a document, what is skipped, what fails, and why."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.errors import InvalidInputError, MissingExtraError, ReadError
from jina_integrations.readers import (
    FailedFile,
    ReadResult,
    SkippedFile,
    Source,
    read_documents,
)
from jina_integrations.types import Document, Heading, Page

GERMAN = "Die Straße nach Köln führt über die Brücke.\n„Schön“, sagte Frau Müller – und lächelte.\n"
FRENCH = "L'été dernier, à la forêt, j'ai reçu une leçon très sévère; c'était déjà l'hôtel.\n"
SPANISH = "El niño comió una piña en la mañana; ¿cómo está usted, señor? Además, el corazón.\n"
TURKISH = "Şişli'de güneşli bir gün, çocuklar oynuyor. İstanbul'da ığdır.\n"
POLISH = "Zażółć gęślą jaźń. Proszę o książkę, którą położyłem na półce.\n"
RUSSIAN = "Москва — столица России. Поиск по тексту работает хорошо.\n"
CHINESE = "深圳是中国的一个城市。机器学习模型可以把文字变成向量,然后搜索最相近的段落。\n"
ARABIC = "اللغة العربية جميلة. البحث في النصوص يعمل بشكل جيد جدا.\n"


def read(*paths: Path, root: str | None = "r") -> list[ReadResult]:
    """What is read, without the sources; all ids begin with ``r/``."""
    return [item for item in read_documents(paths, root=root) if not isinstance(item, Source)]


def only(path: Path) -> ReadResult:
    (result,) = read(path)
    return result


def document(path: Path) -> Document:
    result = only(path)
    assert isinstance(result, Document), result
    return result


def failure(path: Path) -> FailedFile:
    result = only(path)
    assert isinstance(result, FailedFile), result
    return result


def content_id(text: str, **fields: object) -> str:
    """The documented id of a record without one."""
    content = json.dumps([text, fields], sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_walked_in_the_order_of_its_relative_paths(tmp_path: Path) -> None:
    names = ["a/z.txt", "a-b.txt", "a.txt", "B.MD", "b/ü/中文.txt", "b/a.rst", "a/b/c.txt"]
    for name in names:
        write(tmp_path / name, "x")
    results = read(tmp_path)
    assert [r.id for r in results if isinstance(r, Document)] == [f"r/{n}" for n in sorted(names)]
    assert results == read(tmp_path)


def test_whatever_is_left_out_of_a_folder_is_reported(tmp_path: Path) -> None:
    write(tmp_path / ".git/config", "x")
    write(tmp_path / ".hidden.txt", "x")
    write(tmp_path / "Makefile", "x")
    write(tmp_path / "bin.txt", b"MZ\0\0")
    write(tmp_path / "empty.md", "")
    write(tmp_path / "photo.PNG", b"\x89PNG")
    write(tmp_path / "space.txt", " \n\t\n")
    write(tmp_path / "none.jsonl", "\n\n")
    write(tmp_path / "none.csv", "text\n")
    write(tmp_path / "void.pdf", "")
    os.mkfifo(tmp_path / "pipe.txt")
    assert read(tmp_path) == [
        SkippedFile("r/.git", "hidden", "r"),
        SkippedFile("r/.hidden.txt", "hidden", "r"),
        SkippedFile("r/Makefile", "no file extension", "r"),
        SkippedFile("r/bin.txt", "binary", "r"),
        SkippedFile("r/empty.md", "empty", "r"),
        SkippedFile("r/none.csv", "empty", "r"),
        SkippedFile("r/none.jsonl", "empty", "r"),
        SkippedFile("r/photo.PNG", "unknown type .png", "r"),
        SkippedFile("r/pipe.txt", "not a regular file", "r"),
        SkippedFile("r/space.txt", "empty", "r"),
        SkippedFile("r/void.pdf", "empty", "r"),
    ]


def test_links_are_not_followed_inside_a_folder(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/secret.txt", "secret")
    root = tmp_path / "root"
    write(root / "sub/a.txt", "a")
    (root / "loop").symlink_to(root)
    (root / "sub/up").symlink_to(root / "sub")
    (root / "out.txt").symlink_to(outside)
    (root / "dangling.txt").symlink_to(root / "nothing")
    results = read(root)
    assert [r.id for r in results if isinstance(r, Document)] == ["r/sub/a.txt"]
    assert [r for r in results if not isinstance(r, Document)] == [
        SkippedFile(f"r/{name}", "symbolic link", "r")
        for name in ("dangling.txt", "loop", "out.txt", "sub/up")
    ]
    link = tmp_path / "link"
    link.symlink_to(root)
    assert read(link) == results


def test_a_very_deep_folder_is_walked(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["d"] * 1200)
    folders = [deepest, *deepest.parents[:1199]]
    for folder in reversed(folders):
        folder.mkdir()
    try:
        (deepest / "x.txt").write_text("x")
        assert document(tmp_path).id == "r/" + "d/" * 1200 + "x.txt"
    finally:  # pytest's own removal recurses, and would fail in a later run
        (deepest / "x.txt").unlink()
        for folder in folders:
            folder.rmdir()


def test_a_file_name_that_is_not_utf8_does_not_break_the_report(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.txt"), "text")
    result = document(tmp_path)
    assert result.id == r"r/caf\xe9.txt"


def test_reading_is_lazy_and_a_vanished_file_fails_alone(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.txt", name)
    results = read_documents([tmp_path], root="r")
    assert isinstance(next(results), Source)
    first = next(results)
    (tmp_path / "b.txt").unlink()
    second, third = results
    assert isinstance(first, Document)
    assert isinstance(second, FailedFile)
    assert second.path == "r/b.txt"
    assert "No such file" in str(second.error)
    assert isinstance(third, Document)


def test_a_folder_that_vanishes_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "a")
    (tmp_path / "b").mkdir()
    results = read_documents([tmp_path], root="r")
    next(results)
    next(results)
    (tmp_path / "b").rmdir()
    (failed,) = results
    assert isinstance(failed, FailedFile)
    assert (failed.path, str(failed.error)) == (
        "r/b",
        "the folder cannot be listed: No such file or directory",
    )


# --- paths ---------------------------------------------------------------------------------------


def test_ids_begin_with_the_name_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    guide = write(docs / "guide.md", "# Guide")
    write(docs / "api/errors.md", "# Errors")
    write(tmp_path / "top.txt", "top")
    root = docs.resolve().as_posix()
    whole = list(read_documents([docs]))
    assert whole[0] == Source(root, "docs", "docs", root)
    assert [d.id for d in whole if isinstance(d, Document)] == [
        "docs/api/errors.md",
        "docs/guide.md",
    ]
    assert {d.root for d in whole if isinstance(d, Document)} == {root}
    source, single = read_documents([guide])
    assert source == Source(root, "docs", "docs/guide.md", root)
    assert single == whole[2]
    assert single.metadata["source"] == "docs/guide.md"
    monkeypatch.chdir(docs)
    assert list(read_documents(["."])) == whole
    assert list(read_documents(["guide.md"])) == [source, single]
    monkeypatch.chdir(docs / "api")
    assert list(read_documents([".."])) == whole
    assert list(read_documents(["../guide.md"])) == [source, single]
    above = tmp_path.resolve().as_posix()
    assert next(read_documents(["../.."])) == Source(above, tmp_path.name, tmp_path.name, above)


def test_a_root_of_ones_choice_outlives_a_move(tmp_path: Path) -> None:
    write(tmp_path / "old/a.md", "a")
    before = list(read_documents([tmp_path / "old"], root="handbook"))
    (tmp_path / "old").rename(tmp_path / "new")
    after = list(read_documents([tmp_path / "new"], root="handbook"))
    assert before[1:] == after[1:]
    source, document = after
    folder = (tmp_path / "new").resolve().as_posix()
    assert source == Source("handbook", "handbook", "handbook", folder)
    assert isinstance(document, Document)
    assert (document.id, document.root) == ("handbook/a.md", "handbook")
    source, document = read_documents([tmp_path / "new/a.md"], root="handbook")
    assert source == Source("handbook", "handbook", "handbook/a.md", folder)
    assert document == after[1]


def test_the_root_of_the_file_system_has_no_name() -> None:
    source = next(read_documents(["/"]))
    assert source == Source("/", "", "", "/")
    assert source.covers("/", "etc/hosts")


def test_a_folder_without_files_is_covered(tmp_path: Path) -> None:
    (source,) = read_documents([tmp_path], root="handbook")
    assert isinstance(source, Source)
    assert source.covers("handbook", "handbook/gone.md")
    assert source.covers("handbook", "handbook/faq.csv#3")
    assert not source.covers("handbook", "handbooks/other.md")
    assert not source.covers("other", "handbook/gone.md")


def test_a_file_covers_itself_and_its_records() -> None:
    for part in (
        Source("r", "docs", "docs/a", "/srv/docs"),
        SkippedFile("docs/a", "empty", "r"),
        FailedFile("docs/a", ReadError("x"), "r"),
    ):
        assert part.covers("r", "docs/a")
        assert part.covers("r", "docs/a#1")
        assert not part.covers("r", "docs/a.md")
        assert not part.covers("", "docs/a")


def test_a_missing_path_fails_at_once_and_is_named(tmp_path: Path) -> None:
    present = write(tmp_path / "a.txt", "a")
    with pytest.raises(ReadError, match=r"no such file or folder: .*nowhere"):
        read_documents([present, tmp_path / "nowhere"])
    dangling = tmp_path / "dangling.txt"
    dangling.symlink_to(tmp_path / "nothing")
    with pytest.raises(ReadError, match="dangling"):
        read_documents([dangling])
    with pytest.raises(ReadError, match="''"):
        read_documents([""])
    with pytest.raises(ReadError, match="~nouser"):
        read_documents(["~nouser/x"])


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("a.txt", "paths must be a list of paths: put the single path"),
        (b"a.txt", "paths must be a list of paths: put the single path"),
        (Path(), "paths must be a list of paths: put the single path"),
        (None, "paths must be a list of paths, not NoneType"),
        (5, "paths must be a list of paths, not int"),
        ([None], r"paths\[0\] must be a str or a path, not NoneType"),
        ([".", b"."], r"paths\[1\] must be a str or a path, not bytes"),
        (["a\0b"], r"paths\[0\].* is no path: .*null"),
        (["x" * 5000], r"paths\[0\].* is no path: 5000 characters are too many"),
    ],
)
def test_what_is_no_list_of_paths_is_refused_and_named(paths: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        read_documents(paths)  # type: ignore[arg-type]  # that is the test
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("root", ["", " ", "a/b", "a\0", "\ud800", 5, b"x", Path("x")])
def test_what_is_no_name_of_a_root_is_refused(tmp_path: Path, root: object) -> None:
    with pytest.raises(InvalidInputError, match="root"):
        read_documents([tmp_path], root=root)  # type: ignore[arg-type]  # that is the test


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "notes/a.txt", "a")
    (result,) = read(Path("~/notes"), root=None)
    assert isinstance(result, Document)
    assert result.id == "notes/a.txt"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_a_file_of_size_0_is_read() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    result = document(Path("/proc/self/status"))
    assert result.text.startswith("Name:")
    assert "binary" in str(failure(Path("/proc/self/environ")).error)


def test_a_named_file_is_read_though_hidden_unknown_or_a_link(tmp_path: Path) -> None:
    hidden = write(tmp_path / ".notes.txt", "hidden")
    unknown = write(tmp_path / "LICENSE", "Apache")
    code = write(tmp_path / "x.py", "print()")
    link = tmp_path / "link.md"
    link.symlink_to(unknown)
    results = read(hidden, unknown, code, link)
    assert [(r.id, r.metadata["media_type"]) for r in results if isinstance(r, Document)] == [
        ("r/.notes.txt", "text/plain"),
        ("r/LICENSE", "text/plain"),
        ("r/x.py", "text/plain"),
        ("r/link.md", "text/markdown"),
    ]


def test_a_named_file_that_is_no_text_fails(tmp_path: Path) -> None:
    assert "binary" in str(failure(write(tmp_path / "a.png", b"\x89PNG\r\n\0\0")).error)
    os.mkfifo(tmp_path / "pipe.txt")
    assert "not a regular file" in str(failure(tmp_path / "pipe.txt").error)


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "x.txt/inner.txt", "in")
    assert document(tmp_path).id == "r/x.txt/inner.txt"
    assert document(tmp_path / "x.txt").id == "r/inner.txt"


def test_two_documents_never_share_an_id(tmp_path: Path) -> None:
    one = write(tmp_path / "1/docs/README.md", "one").parent
    two = write(tmp_path / "2/docs/README.md", "two").parent
    first, second = read(one, two, root=None)
    assert isinstance(first, Document)
    assert isinstance(second, FailedFile)
    assert (second.path, second.root) == ("docs/README.md", two.resolve().as_posix())
    for part in (str(one.resolve()), str(two.resolve()), "root=", "--root"):
        assert part in str(second.error)
    _, third = read(one, two, root="same")
    assert isinstance(third, FailedFile)


def test_a_file_given_twice_is_read_as_one_document(tmp_path: Path) -> None:
    file = write(tmp_path / "docs/README.md", "one")
    first, second = read(file.parent, file)
    assert isinstance(first, Document)
    assert second == SkippedFile("r/README.md", "given twice", "r")


# --- decoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [GERMAN, CHINESE, ARABIC, "emoji 👩‍👩‍👧 and ไทย"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_as_it_is(tmp_path: Path, text: str, encoding: str) -> None:
    result = document(write(tmp_path / "a.txt", text.encode(encoding)))
    assert result.text == text
    assert result.metadata == {"source": "r/a.txt", "title": "a.txt", "media_type": "text/plain"}


def test_utf16_big_endian_by_its_mark(tmp_path: Path) -> None:
    content = b"\xfe\xff" + CHINESE.encode("utf-16-be")
    assert document(write(tmp_path / "a.txt", content)).text == CHINESE


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        ("Grüße aus Köln", "cp1252"),
        ("It costs £5 – really, a “naïve” café", "cp1252"),
        (FRENCH, "cp1252"),
        (SPANISH, "cp1252"),
        (TURKISH, "cp1254"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (ARABIC, "cp1256"),
        (CHINESE, "gb18030"),
        ("서울은 대한민국의 수도입니다. 기계 학습 모델.", "cp949"),
        ("東京は日本の首都です。カタカナとひらがな。", "cp932"),
    ],
)
def test_legacy_encodings_are_recognised_and_told(tmp_path: Path, text: str, encoding: str) -> None:
    pytest.importorskip("charset_normalizer")
    result = document(write(tmp_path / "a.txt", text.encode(encoding)))
    assert result.text == text
    assert result.metadata["encoding"] == encoding


def test_damaged_utf8_fails_and_names_the_byte(tmp_path: Path) -> None:
    content = (CHINESE * 3000).encode()
    damaged = content[:200_000] + b"\xff" + content[200_000:]
    failed = failure(write(tmp_path / "a.txt", damaged))
    assert str(failed.error).startswith("byte 200000 is not valid utf-8")


def test_bytes_in_no_encoding_fail(tmp_path: Path) -> None:
    pytest.importorskip("charset_normalizer")
    noise = bytes((i * 73 + 41) % 255 + 1 for i in range(4000))
    assert isinstance(only(write(tmp_path / "a.txt", noise)), FailedFile)


def test_half_a_surrogate_pair_in_utf16_fails(tmp_path: Path) -> None:
    content = b"\xff\xfea\0" + b"\x3d\xd8" + b"b\0"
    assert "not valid utf-16" in str(failure(write(tmp_path / "a.txt", content)).error)


def test_nul_far_into_a_text_fails_and_names_its_place(tmp_path: Path) -> None:
    failed = failure(write(tmp_path / "a.txt", b"x" * 9000 + b"\0" + b"y"))
    assert "NUL character at 9000" in str(failed.error)


def test_newlines_become_one_kind(tmp_path: Path) -> None:
    assert document(write(tmp_path / "a.txt", b"a\r\nb\rc\n\nd")).text == "a\nb\nc\n\nd"


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    text = "# " + " x" * 5_000_000 + "ä"
    for name in ("a.txt", "a.md", "a.rst"):
        result = document(write(tmp_path / name, text))
        assert result.text == text
        assert result.metadata["title"] == name


@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r")))
def test_any_text_survives_a_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    result = only(write(folder / "a.md", text.encode("utf-8-sig")))
    if text and not text.isspace():
        assert isinstance(result, Document)
        assert result.text == text
    else:
        assert result == SkippedFile("r/a.md", "empty", "r")
    (line,) = [json.dumps({"text": text})]
    record, *_ = read(write(folder / "a.jsonl", line))
    assert not isinstance(record, FailedFile)
    if isinstance(record, Document):
        assert record.text == text


# --- titles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# One\n\n## Two", "One"),
        ("intro\n\n  ## Straße nach  Köln ##\n", "Straße nach Köln"),
        ("# C#\n", "C#"),
        ("```sh\n# comment\n```\n\n# Real", "Real"),
        ("~~~~\n# a\n~~~\n# b\n~~~~\n# Real", "Real"),
        ("    # code\n\n#hashtag\n\nText\n===\n", "Text"),
        ("---\ntitle: x\n# note\n---\n\n中文标题\n----\n", "中文标题"),
        ("- item\n---\n| a |\n|---|\n\n# Real", "Real"),
        ("#\n\n# ##\n", "a.md"),
        ("no heading", "a.md"),
        ("# " + "long " * 100, "a.md"),
    ],
)
def test_markdown_title(tmp_path: Path, text: str, title: str) -> None:
    assert document(write(tmp_path / "a.md", text)).metadata["title"] == title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("=====\nOver \n=====\n\ntext", "Over"),
        ("text\n\n.. note:: x\n\nStraße\n~~~~~~\n", "Straße"),
        ("中文标题\n========\n", "中文标题"),
        ("a paragraph\n--\n\n----\n\nmore", "a.rst"),
        ("==== ====\na    b\n==== ====\n", "a.rst"),
    ],
)
def test_rst_title(tmp_path: Path, text: str, title: str) -> None:
    assert document(write(tmp_path / "a.rst", text)).metadata["title"] == title


# --- headings and pages --------------------------------------------------------------------------


def test_markdown_headings(tmp_path: Path) -> None:
    text = (
        "---\ntitle: front matter\n---\n"
        "# The `foo` *bar* &amp; [link](x)\n\ntext\n\nTwo\nlines\n---\n\n"
        "```\n# code\n```\n\n> # quoted\n\n   ### Third ###\n#\nend\n"
    )
    result = document(write(tmp_path / "a.md", text))
    assert result.text == text
    assert result.headings == (
        Heading(text.index("# The"), 1, "The foo bar & link"),
        Heading(text.index("Two"), 2, "Two lines"),
        Heading(text.index("   ### Third"), 3, "Third"),
        Heading(text.index("#\nend"), 1, ""),
    )


def test_a_rule_at_the_start_is_no_front_matter(tmp_path: Path) -> None:
    result = document(write(tmp_path / "a.md", "---\n\n# Title\n\ntext\n\n---\n\n# Two\n"))
    assert [heading.title for heading in result.headings] == ["Title", "Two"]


def test_rst_headings(tmp_path: Path) -> None:
    text = (
        "=====\nTitle\n=====\n\nOne\n===\nSub\n---\ntext\nnot\n---\n\n::\n\n    Code\n    ====\n\n"
        "Two\n===\n\n-----\n\nÄrger im Büro\n~~~~~~~~~~~~~\nend\n"
    )
    result = document(write(tmp_path / "a.rst", text))
    assert result.headings == (
        Heading(0, 1, "Title"),
        Heading(text.index("One"), 2, "One"),
        Heading(text.index("Sub"), 3, "Sub"),
        Heading(text.index("Two"), 2, "Two"),
        Heading(text.index("Ärger"), 4, "Ärger im Büro"),
    )


def test_html_headings_stand_where_they_stand_in_the_text(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    page = (
        "<nav><h2>Menu</h2></nav><h1>Ein <b>fetter</b>\n Titel</h1><p>text"
        "<h2><p>In a <br>block</p></h2>more<h3> </h3><pre>x</pre><h6>Last"
    )
    result = document(write(tmp_path / "a.html", page))
    assert result.text == "Ein fetter Titel\n\ntext\n\nIn a\nblock\n\nmore\n\nx\n\nLast"
    assert result.headings == (
        Heading(0, 1, "Ein fetter Titel"),
        Heading(result.text.index("In a"), 2, "In a block"),
        Heading(result.text.index("Last"), 6, "Last"),
    )
    assert result.metadata["title"] == "Ein fetter Titel"


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["h1", "h2", "h6", "p", "li", "pre", "td", "span", "br"]),
            st.text("ab \n", max_size=6),
        ),
        max_size=12,
    )
)
def test_html_heading_offsets_are_exact(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str]]
) -> None:
    pytest.importorskip("bs4")
    page = "".join(f"<{tag}>{text}</{tag}>" for tag, text in parts)
    result = only(write(tmp_path_factory.mktemp("html") / "a.html", page))
    expected = [" ".join(text.split()) for tag, text in parts if tag[0] == "h" and text.strip()]
    if isinstance(result, Document):
        assert [heading.title for heading in result.headings] == expected
        lines = [result.text[heading.start :].split("\n")[0] for heading in result.headings]
        assert lines == expected
    else:
        assert expected == []


def test_pdf_pages(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    content = pdf(IMAGE, shown("Seite zwei"), IMAGE, shown("Seite vier"))
    result = next(item for item in read(write(tmp_path / "a.pdf", content)))
    assert isinstance(result, Document)
    assert result.text == "Seite zwei\n\nSeite vier"
    assert result.pages == (Page(0, 2), Page(12, 4))


# --- HTML ----------------------------------------------------------------------------------------


PAGE = """<!DOCTYPE html><html><head><title>Über
 uns</title><style>p {}</style><script>var x = "no";</script></head>
<body><nav><a href=/>Home</a></nav><!-- no -->
<h1>Straße</h1><p>Ein <b>fetter</b>
   Satz.<br>Neue Zeile.</p>
<ul><li>eins</li><li>zwei</li></ul>
<pre>
def f():
    return  1

<span>end</span></pre>
<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d &amp; e</td></tr></table></body></html>"""

PAGE_TEXT = """Straße

Ein fetter Satz.
Neue Zeile.

eins
zwei

def f():
    return  1

end

a b
c d & e"""


def test_html_is_read_as_a_browser_shows_it(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    result = document(write(tmp_path / "a.HTML", PAGE))
    assert result.text == PAGE_TEXT
    assert result.metadata == {"source": "r/a.HTML", "title": "Über uns", "media_type": "text/html"}


def test_html_without_end_tags_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    page = "<head><title>T</title><body>" + "".join(f"<p>line {n}" for n in range(3000))
    result = document(write(tmp_path / "a.htm", page))
    assert result.text == "\n\n".join(f"line {n}" for n in range(3000))


@pytest.mark.parametrize(
    ("label", "encoding"),
    [("iso-8859-1", "cp1252"), ("windows-1251", "cp1251"), ("gb2312", "gb18030")],
)
def test_html_encoding_as_declared(tmp_path: Path, label: str, encoding: str) -> None:
    pytest.importorskip("bs4")
    text = {"cp1252": "“ä”", "cp1251": "Ж", "gb18030": "镕"}[encoding]
    page = f'<meta charset="{label}"><p>{text}'.encode(encoding)
    result = document(write(tmp_path / "a.html", page))
    assert (result.text, result.metadata["encoding"]) == (text, encoding)


@pytest.mark.parametrize("label", ["utf-16", "hex", "no-such", "utf-8", "gb18030"])
def test_html_encoding_declared_wrongly_is_guessed(tmp_path: Path, label: str) -> None:
    pytest.importorskip("bs4")
    pytest.importorskip("charset_normalizer")
    page = f'<meta charset="{label}"><p>{GERMAN}'.encode("cp1252")
    result = document(write(tmp_path / "a.html", page))
    assert result.text == GERMAN.strip().replace("\n", " ")


def test_html_nested_very_deep(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    result = document(write(tmp_path / "a.html", "<div><b>" * 20_000 + "deep"))
    assert result.text == "deep"


def test_html_without_text_is_empty(tmp_path: Path) -> None:
    pytest.importorskip("bs4")
    result = only(write(tmp_path / "a.html", "<title>x</title><script>1</script>"))
    assert result == SkippedFile("r/a.html", "empty", "r")


# --- PDF -----------------------------------------------------------------------------------------


def pdf(*pages: bytes, info: bytes = b"") -> bytes:
    """A minimal PDF, written by hand: one content stream per page, in Helvetica (WinAnsi)."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, content in enumerate(pages):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * n),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    objects.append(b"<< %s >>" % info)
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = len(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"<< /Size %d /Root 1 0 R /Info %d 0 R >>" % (size, len(objects))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        trailer,
        len(out),
    )


def shown(text: str) -> bytes:
    return b"BT /F1 12 Tf 20 200 Td (%s) Tj ET" % text.encode("cp1252")


IMAGE = b"q 100 0 0 100 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x7f EI Q"


def test_pdf_pages_are_joined_and_those_without_text_told(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    content = pdf(shown("Grüße aus Köln"), IMAGE, shown("Seite drei"), info=b"/Title (Der Titel)")
    result, page = read(write(tmp_path / "a.pdf", content))
    assert isinstance(result, Document)
    assert result.text == "Grüße aus Köln\n\nSeite drei"
    assert result.metadata == {
        "source": "r/a.pdf",
        "title": "Der Titel",
        "media_type": "application/pdf",
        "pages": 3,
    }
    assert page == SkippedFile("r/a.pdf#page=2", "no text on the page; a scan needs OCR", "r")


def test_pdf_of_images_needs_ocr(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    failed = failure(write(tmp_path / "scan.pdf", pdf(IMAGE, IMAGE)))
    assert str(failed.error) == "no text layer; needs OCR"


@pytest.mark.parametrize("content", [b"not a pdf", pdf(shown("x"))[:200], b"%PDF-1.7\n%%EOF"])
def test_damaged_pdf(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pypdf")
    assert "PDF" in str(failure(write(tmp_path / "a.pdf", content)).error)


def test_encrypted_pdf(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    plain = write(tmp_path / "plain.pdf", pdf(shown("secret")))
    for password, name in (("hunter2", "locked.pdf"), ("", "open.pdf")):
        writer = pypdf.PdfWriter(clone_from=plain)
        writer.encrypt(password, owner_password="owner", algorithm="RC4-128")
        writer.write(tmp_path / name)
    assert "encrypted with a password" in str(failure(tmp_path / "locked.pdf").error)
    assert document(tmp_path / "open.pdf").text == "secret"


# --- JSON Lines ----------------------------------------------------------------------------------


def test_jsonl_records(tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": GERMAN, "id": "köln", "title": "T", "year": 2024, "draft": None}),
        json.dumps({"text": "二", "metadata": {"lang": "zh", "score": 0.5}, "ok": True}),
        "",
        json.dumps({"text": "number", "id": 7, "metadata": None, "source": "wiki"}),
        json.dumps({"text": " \n"}),
    ]
    path = write(tmp_path / "a.jsonl", "\ufeff" + "\r\n".join(lines))
    first, second, fourth, fifth = read(path)
    common = {"source": "r/a.jsonl", "title": "a.jsonl", "media_type": "application/jsonl"}
    extra = {"lang": "zh", "score": 0.5, "ok": True}
    for result, name, text, more in (
        (first, "köln", GERMAN, {"title": "T", "year": 2024}),
        (second, content_id("二", **extra), "二", extra),
        (fourth, "7", "number", {"source": "wiki"}),
    ):
        assert result == Document(f"r/a.jsonl#{name}", text, common | more, root="r")
    assert fifth == SkippedFile("r/a.jsonl#5", "blank record", "r")
    assert not fifth.empty


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "must be a JSON object, not list"),
        (b'{"body": "x"}', 'needs a string "text"; its other keys are "body"'),
        (b'{"text": 3}', 'needs a string "text"'),
        (b'{"text": "x", "tags": ["a"]}', "'tags'"),
        (b'{"text": "x", "metadata": {"a": {"b": 1}}}', "'a'"),
        (b'{"text": "x", "metadata": [1]}', '"metadata" must be an object'),
        (b'{"text": "x", "metadata": {"a": 1}, "a": 2}', '"a"'),
        (b'{"text": "x", "start": 1}', "'start'"),
        (b'{"text": "x", "n": NaN}', "'n'"),
        (b'{"text": "x", "n": 1' + b"0" * 5000 + b"}", "not valid JSON"),
        (b'{"text": "x", "id": ""}', '"id"'),
        (b'{"text": "x", "id": true}', '"id"'),
        (b'{"text": "x\\u0000"}', "NUL"),
        (b'{"text": "\\ud800"}', "surrogate"),
        (b'{"text": "x", "a": "\\ud800"}', "surrogate"),
        (b'{"text": "\xff \xc3\xa4\xc3\xa4"}', "byte 0xff is not valid utf-8"),
    ],
)
def test_one_bad_line_costs_no_other(tmp_path: Path, line: bytes, message: str) -> None:
    content = b'{"text": "a \xc3\xa4\xc3\xbc"}\n' + line + b'\n{"text": "b"}\n'
    before, bad, after = read(write(tmp_path / "a.jsonl", content))
    assert isinstance(before, Document)
    assert isinstance(bad, FailedFile)
    assert bad.path == "r/a.jsonl#2"
    assert message in str(bad.error)
    assert len(str(bad.error)) < 500
    assert bad.covers("r", "r/a.jsonl#7")
    assert isinstance(after, Document)


def test_jsonl_with_one_id_twice(tmp_path: Path) -> None:
    content = '{"text": "a", "id": "2"}\n{"text": "b"}\n{"text": "c", "id": 2}'
    first, second, third = read(write(tmp_path / "a.jsonl", content))
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert isinstance(third, FailedFile)
    assert "another document of this run has this id" in str(third.error)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_record_without_an_id_keeps_its_id_when_others_come_and_go(
    tmp_path: Path, name: str
) -> None:
    def ids(*texts: str) -> list[str]:
        rows = [json.dumps({"text": text}) for text in texts]
        content = "\n".join(rows if name == "a.jsonl" else ["text", *texts])
        results = read(write(tmp_path / name, content))
        return [result.id for result in results if isinstance(result, Document)]

    before = ids("one", "two", "three")
    assert before == [f"r/{name}#{content_id(text)}" for text in ("one", "two", "three")]
    assert ids("two", "three") == before[1:]
    assert ids("new", "one", "two", "three")[1:] == before
    same = f"r/{name}#{content_id('same')}"
    assert ids("same", "same", "x", "same") == [same, f"{same}-2", ids("x")[0], f"{same}-3"]


def test_an_id_by_content_counts_the_fields_in_any_order(tmp_path: Path) -> None:
    lines = [{"text": "x", "a": 1, "b": 2}, {"b": 2, "text": "x", "a": 1}, {"text": "x", "a": 2}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    first, second, third = (r.id for r in read(path) if isinstance(r, Document))
    assert second == f"{first}-2"
    assert third == "r/a.jsonl#" + content_id("x", a=2)


def test_a_file_of_blank_records_is_empty(tmp_path: Path) -> None:
    blank, file = read(write(tmp_path / "a.csv", "text,a\n ,1\n"))
    assert blank == SkippedFile("r/a.csv#1", "blank record", "r")
    assert file == SkippedFile("r/a.csv", "empty", "r")
    assert file.covers("r", "r/a.csv#k3")


def test_jsonl_in_utf16(tmp_path: Path) -> None:
    content = (json.dumps({"text": CHINESE}, ensure_ascii=False) + "\n") * 2
    first, second = read(write(tmp_path / "a.jsonl", content.encode("utf-16")))
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert first.text == second.text == CHINESE


def test_jsonl_keeps_line_separators_and_newlines_in_text(tmp_path: Path) -> None:
    text = "a\u2028b\r\nc\x85d"
    path = write(tmp_path / "a.jsonl", json.dumps({"text": text}, ensure_ascii=False))
    assert document(path).text == text


# --- CSV -----------------------------------------------------------------------------------------


def test_csv_records(tmp_path: Path) -> None:
    content = (
        f'id,text,author,note\nk1,"{GERMAN}",Müller,\n\n,"sagt ""ja"", oder\r\nnein",,x\nk3, ,,\n'
    )
    first, second, third = read(write(tmp_path / "a.csv", content))
    common = {"source": "r/a.csv", "title": "a.csv", "media_type": "text/csv"}
    quoted = 'sagt "ja", oder\r\nnein'
    name = content_id(quoted, note="x")
    assert first == Document("r/a.csv#k1", GERMAN, common | {"author": "Müller"}, root="r")
    assert second == Document(f"r/a.csv#{name}", quoted, common | {"note": "x"}, root="r")
    assert third == SkippedFile("r/a.csv#k3", "empty", "r")
    assert third.empty


def test_csv_as_excel_saves_it(tmp_path: Path) -> None:
    pytest.importorskip("charset_normalizer")
    rows = f'\r\nid;text;preis\r\n1;"{GERMAN}";3,50\r\n'
    result = document(write(tmp_path / "a.csv", rows.encode("cp1252")))
    assert result.id == "r/a.csv#1"
    assert (result.text, result.metadata["preis"]) == (GERMAN, "3,50")
    assert result.metadata["encoding"] == "cp1252"
    tabs = "id\ttext\r\n1\t中文, 逗号\r\n"
    assert document(write(tmp_path / "b.csv", tabs.encode("utf-16"))).text == "中文, 逗号"


def test_csv_with_one_column_needs_no_name(tmp_path: Path) -> None:
    one, two = read(write(tmp_path / "a.csv", "satz\neins\nzwei\n"))
    assert isinstance(one, Document)
    assert isinstance(two, Document)
    assert (one.text, two.text) == ("eins", "zwei")


def test_csv_column_without_a_name(tmp_path: Path) -> None:
    result = document(write(tmp_path / "a.csv", ",text\n0,x\n"))
    assert result.metadata["column_1"] == "0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", 'needs a column "text"; found "a", "b"'),
        ("text,a,a\n1,2,3\n", 'names columns twice: "a"'),
        ("text,start\n1,2\n", '"start"'),
        ('text,"a"b\n1,2\n', "header is not valid CSV"),
        (b"text,\xff\n" + "ä,ö\n".encode(), "byte 0xff is not valid utf-8"),
    ],
)
def test_csv_with_a_header_that_cannot_be_used(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    failed = failure(write(tmp_path / "a.csv", content))
    assert failed.path == "r/a.csv"
    assert message in str(failed.error)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"x", "has 1 cells, and the header 2"),
        (b"x,y,z", "has 3 cells, and the header 2"),
        (b'"x"y,z', "not valid CSV"),
        (b"x\0,y", "NUL"),
        (b"x,\xff", "byte 0xff is not valid utf-8"),
    ],
)
def test_one_bad_row_costs_no_other(tmp_path: Path, row: bytes, message: str) -> None:
    filler = "ä" * 10_000  # the NUL lies beyond where a binary file is looked for
    content = f"text,a\n{filler},1\n".encode() + row + b"\nlast,3\n"
    before, bad, after = read(write(tmp_path / "a.csv", content))
    assert isinstance(before, Document)
    assert isinstance(bad, FailedFile)
    assert bad.path == "r/a.csv#2"
    assert message in str(bad.error)
    assert bad.covers("r", "r/a.csv#7")
    assert isinstance(after, Document)


def test_csv_quote_that_never_ends(tmp_path: Path) -> None:
    first, bad = read(write(tmp_path / "a.csv", 'text\na\n"b\nc\n'))
    assert isinstance(first, Document)
    assert isinstance(bad, FailedFile)
    assert "unexpected end of data" in str(bad.error)


def test_records_of_ten_megabytes(tmp_path: Path) -> None:
    text = "wörter " * 1_500_000
    csv.field_size_limit(131_072)
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], ["1", text]])
    assert document(tmp_path / "a.csv").text == text
    path = write(tmp_path / "a.jsonl", json.dumps({"text": text}, ensure_ascii=False))
    assert document(path).text == text


def test_records_are_streamed(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    line = json.dumps({"text": "x" * 10_000}) + "\n"
    path = write(tmp_path / "a.jsonl", line * 2000)
    rows = write(tmp_path / "b.csv", "text\n" + ("y" * 10_000 + "\n") * 2000)
    tracemalloc.start()
    count = sum(isinstance(result, Document) for result in read_documents([path, rows]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4000
    assert peak < 8_000_000


# --- extras --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "name", "content"),
    [
        ("pypdf", "a.pdf", b"%PDF-1.4"),
        ("bs4", "a.html", b"<p>x"),
        ("charset_normalizer", "a.txt", "Köln".encode("cp1252")),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, name: str, content: bytes
) -> None:
    for module in [m for m in sys.modules if m == library or m.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[readers\]"):
        read(write(tmp_path / name, content))


def test_utf8_needs_the_standard_library_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pypdf", "bs4", "charset_normalizer"):
        monkeypatch.setitem(sys.modules, library, None)
    write(tmp_path / "a.txt", GERMAN)
    write(tmp_path / "b.md", CHINESE)
    write(tmp_path / "c.rst", ARABIC)
    write(tmp_path / "d.csv", "text\nä\n")
    write(tmp_path / "e.jsonl", '{"text": "ä"}\n')
    assert [type(result) for result in read(tmp_path)] == [Document] * 5
