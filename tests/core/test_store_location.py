"""Store locations: every form, every malformed form, and how a store is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.errors import InvalidSettingError
from jina_integrations.stores import Store, StoreLocation, open_store
from jina_integrations.stores.location import read_key


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("qdrant:./index#handbook", StoreLocation("qdrant", "handbook", path="./index")),
        ("qdrant:/a/b c#x", StoreLocation("qdrant", "x", path="/a/b c")),
        ("chroma:C:\\data\\i#x", StoreLocation("chroma", "x", path="C:\\data\\i")),
        ("chroma:a#b#c", StoreLocation("chroma", "c", path="a#b")),
        ("chroma:me@home#c", StoreLocation("chroma", "c", path="me@home")),
        ("my-db_2:~/x#c", StoreLocation("my-db_2", "c", path="~/x")),
        (
            "qdrant+http://localhost:6333/handbook",
            StoreLocation("qdrant", "handbook", url="http://localhost:6333"),
        ),
        ("qdrant+https://db.example/x", StoreLocation("qdrant", "x", url="https://db.example")),
        ("chroma+http://[::1]:8000/x", StoreLocation("chroma", "x", url="http://[::1]:8000")),
        ("qdrant+http://h:1/a%20b%C3%A9", StoreLocation("qdrant", "a bé", url="http://h:1")),
    ],
)
def test_forms(text, location):
    assert StoreLocation.parse(text) == location
    assert str(location) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "KIND"),
        ("./index#handbook", "KIND"),
        ("qdrant", "KIND"),
        ("qdrant:./index", "no collection"),
        ("qdrant:./index#", "no collection"),
        ("qdrant:./index# ", "no collection"),
        ("qdrant:#handbook", "no folder"),
        ("qdrant:./index#a/b", "'/'"),
        ("Qdrant:./index#x", "lower-case"),
        (":./index#x", "lower-case"),
        ("qdrant+ftp://h/x", "http"),
        ("qdrant+http:h/x", "http"),
        ("qdrant+:./index#x", "http"),
        ("qdrant+http://h:6333", "no collection"),
        ("qdrant+http://h:6333/", "no collection"),
        ("qdrant+http://h:6333/a/b", "'/'"),
        ("qdrant+http:///x", "host"),
        ("qdrant+http://h:port/x", "host and port"),
        ("qdrant+http://h:99999/x", "host and port"),
        ("qdrant+http://[::1/x", "host and port"),
    ],
)
def test_malformed_forms_say_what_to_write(text, message):
    with pytest.raises(InvalidSettingError, match=message):
        StoreLocation.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "qdrant+http://user:secret@h:6333/x",
        "qdrant+https://secret@h/x",
        "qdrant+https://h/x?api_key=secret",
        "qdrant+https://h?secret/x",
        "qdrant+https://h/x#secret",
        "qdrant:https://user:secret@h/x",
        "qdrant:https://user:secret@h#x",
        "https://user:secret@h/x",
        "qdrant+ftp://user:secret@h/x",
        "qdrant+http://user:secret@h:port/x",
        "nosuchstore+http://user:secret@h/x",
    ],
)
def test_secrets_are_refused_and_not_echoed(text):
    with pytest.raises(InvalidSettingError) as caught:
        open_store(text)
    shown = []
    error = caught.value
    while error is not None:
        shown.append(str(error))
        error = error.__cause__ or error.__context__
    assert "secret" not in " ".join(shown)


@pytest.mark.parametrize(
    "parts",
    [
        {"path": "a", "url": "http://h"},
        {},
        {"url": "http://user:secret@h"},
        {"url": "http://h/x"},
        {"url": "ftp://h"},
        {"url": "http://h?key=secret"},
        {"path": ""},
    ],
)
def test_fields_are_checked_too(parts):
    with pytest.raises(InvalidSettingError) as caught:
        StoreLocation("qdrant", "x", **parts)
    assert "secret" not in str(caught.value)


_NAMES = st.text(st.characters(exclude_characters="/#", exclude_categories=["Cs"]), min_size=1)
_PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(collection=_NAMES, path=_PATHS)
def test_folders_round_trip(collection, path):
    if collection.isspace() or "://" in path:
        return
    location = StoreLocation("qdrant", collection, path=path)
    assert StoreLocation.parse(str(location)) == location


@given(
    collection=_NAMES,
    host=st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
    scheme=st.sampled_from(["http", "https"]),
)
def test_servers_round_trip(collection, host, port, scheme):
    if collection.isspace():
        return
    url = f"{scheme}://{host}" + ("" if port is None else f":{port}")
    location = StoreLocation("chroma", collection, url=url)
    assert StoreLocation.parse(str(location)) == location


@given(st.text())
def test_any_text_parses_or_is_refused(text):
    try:
        location = StoreLocation.parse(text)
    except InvalidSettingError:
        return
    assert StoreLocation.parse(str(location)) == location


def test_an_unknown_kind_lists_the_installed_ones():
    with pytest.raises(InvalidSettingError, match=r"'nosuchstore'; installed: .*chroma.*qdrant"):
        open_store("nosuchstore:./x#y")


def test_anyone_can_add_a_store(tmp_path, monkeypatch):
    """A distribution with the entry point, as pip would install one."""
    (tmp_path / "theirstore.py").write_text(
        "class TheirStore:\n"
        "    @classmethod\n"
        "    def from_location(cls, location):\n"
        "        store = cls()\n"
        "        store.location = location\n"
        "        return store\n"
    )
    metadata = tmp_path / "theirstore-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirstore\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[jina_integrations.stores]\ntheirs = theirstore:TheirStore\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    location = StoreLocation("theirs", "x", path="folder")
    assert open_store("theirs:folder#x").location == location
    assert open_store(location).location == location


def test_opening_connects_to_nothing(tmp_path):
    pytest.importorskip("qdrant_client")
    pytest.importorskip("chromadb")
    for kind in ("qdrant", "chroma"):
        for text in (f"{kind}:{tmp_path}/index#abc", f"{kind}+http://127.0.0.1:9/abc"):
            store = open_store(text)
            assert isinstance(store, Store)
            store.close()
    assert list(tmp_path.iterdir()) == []


def test_keys_come_from_the_environment(monkeypatch):
    monkeypatch.delenv("SOME_API_KEY", raising=False)
    assert read_key("SOME_API_KEY") is None
    monkeypatch.setenv("SOME_API_KEY", "")
    assert read_key("SOME_API_KEY") is None
    monkeypatch.setenv("SOME_API_KEY", "abc-123.x_y")
    assert read_key("SOME_API_KEY") == "abc-123.x_y"
    monkeypatch.setenv("SOME_API_KEY", "secret\n")
    with pytest.raises(InvalidSettingError, match="SOME_API_KEY") as caught:
        read_key("SOME_API_KEY")
    assert "secret" not in str(caught.value)
