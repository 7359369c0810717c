"""Addresses of stores: both usual forms, every malformed one, and how a store is chosen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations.errors import InvalidInputError, InvalidSettingError
from jina_integrations.stores import FolderAddress, ServerAddress, Store, open_store
from jina_integrations.stores.addresses import read_key


@pytest.mark.parametrize(
    ("address", "path", "collection"),
    [
        ("qdrant:./index#handbook", "./index", "handbook"),
        ("qdrant-edge:/a/b c#x", "/a/b c", "x"),
        ("chroma:C:\\data\\i#x", "C:\\data\\i", "x"),
        ("chroma:a#b#c", "a#b", "c"),
        ("chroma:me@home#c", "me@home", "c"),
        ("qdrant:ordner/ü#日本 語", "ordner/ü", "日本 語"),
    ],
)
def test_folders(address: str, path: str, collection: str) -> None:
    assert FolderAddress.parse(address) == FolderAddress(path, Path(path), collection)


def test_a_home_directory_is_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    address = FolderAddress.parse("qdrant:~/index#x")
    assert address == FolderAddress("~/index", tmp_path / "index", "x")


@pytest.mark.parametrize(
    ("address", "expected", "url"),
    [
        (
            "qdrant+http://localhost:6333/handbook",
            ServerAddress("http", "localhost", 6333, "handbook"),
            "http://localhost:6333",
        ),
        (
            "qdrant+https://db.example/x",
            ServerAddress("https", "db.example", None, "x"),
            "https://db.example",
        ),
        (
            "chroma+http://[::1]:8000/x",
            ServerAddress("http", "::1", 8000, "x"),
            "http://[::1]:8000",
        ),
        (
            "qdrant+http://h:1/a%20b%C3%A9",
            ServerAddress("http", "h", 1, "a bé"),
            "http://h:1",
        ),
    ],
)
def test_servers(address: str, expected: ServerAddress, url: str) -> None:
    assert ServerAddress.parse(address) == expected
    assert expected.url == url


def test_a_store_may_have_further_schemes() -> None:
    address = ServerAddress.parse("qdrant+grpc://h:6334/x", schemes=("http", "grpc"))
    assert address == ServerAddress("grpc", "h", 6334, "x")
    with pytest.raises(InvalidSettingError, match=r"chroma\+http://HOST.*, chroma\+https://HOST"):
        ServerAddress.parse("chroma+grpc://h:6334/x")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("qdrant:./index", "write qdrant:PATH#COLLECTION"),
        ("qdrant:#handbook", "write qdrant:PATH#COLLECTION"),
        ("qdrant:./index#", "no collection"),
        ("qdrant:./index# ", "no collection"),
        ("qdrant:./index#a/b", "'a/b' has a slash"),
        ("qdrant:./index#a\\b", "has a slash"),
        ("qdrant:./index#..", "has a slash"),
        ("qdrant:http://h:6333/x", r"write qdrant\+http://HOST:PORT/COLLECTION"),
        ("qdrant:a\0b#x", "is no folder"),
        ("qdrant:\ud800#x", "is no folder"),
        (f"qdrant:{'x' * 300}#x", "is no folder: File name too long"),
        ("qdrant:~nosuchuser/x#x", "is no folder: Could not determine home directory"),
        (f"qdrant:{__file__}/index#x", "is no folder: Not a directory"),
    ],
)
def test_malformed_folders_say_what_to_write(address: str, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        FolderAddress.parse(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("qdrant+http:h/x", r"write qdrant\+http://HOST:PORT/COLLECTION"),
        ("qdrant+ftp://h/x", r"write qdrant\+http"),
        ("qdrant+http:///x", r"write qdrant\+http"),
        ("qdrant+http://h:0/x", r"write qdrant\+http"),
        ("qdrant+http://h:port/x", "host and port"),
        ("qdrant+http://h:99999/x", "host and port"),
        ("qdrant+http://[::1/x", "host and port"),
        ("qdrant+http://h:6333", "no collection"),
        ("qdrant+http://h:6333/", "no collection"),
        ("qdrant+http://h:6333/a/b", "has a slash"),
        ("qdrant+http://h:6333/a%2Fb", "has a slash"),
        ("qdrant+http://h:6333/%2e%2e", "has a slash"),
    ],
)
def test_malformed_servers_say_what_to_write(address: str, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        ServerAddress.parse(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "begins with no kind"),
        ("qdrant", "begins with no kind"),
        ("./index#handbook", "begins with no kind"),
        (":./index#x", "begins with no kind"),
        ("Qdrant:./index#x", "'Qdrant:./index#x': it begins with no kind"),
        ("qdrant+:./index#x", "begins with no kind"),
        ("nosuchstore:./x#y", "'nosuchstore'; installed: .*chroma.*qdrant"),
    ],
)
def test_a_kind_that_is_not_there(address: str, message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        open_store(address)


@pytest.mark.parametrize("address", [None, 5, b"qdrant:x#y", Path("index"), ["qdrant:x#y"]])
def test_an_address_is_text(address: object) -> None:
    with pytest.raises(InvalidInputError, match=f"must be a str .*, not {type(address).__name__}"):
        open_store(address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        "qdrant+http://user:secret@h:6333/x",
        "qdrant+https://secret@h/x",
        "qdrant+https://h/x?api_key=secret",
        "qdrant+https://h?secret/x",
        "qdrant+https://h/x#secret",
        "qdrant+http://user:secret@h:port/x",
        "qdrant+ftp://user:secret@h/x",
        "chroma+https://user:secret@h/x",
        "qdrant:https://user:secret@h/x",
        "qdrant:https://user:secret@h#x",
        "https://user:secret@h/x",
        "nosuchstore+http://user:secret@h/x",
        "//user:secret@h/x",
    ],
)
def test_secrets_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        open_store(address)
    shown: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(f"{error} {error!r}")
        error = error.__cause__ or error.__context__
    assert "secret" not in " ".join(shown)


@given(st.text(), st.sampled_from(["qdrant:", "qdrant+http://", "qdrant+", "qdrant:~", ""]))
def test_any_text_is_an_address_or_refused(text: str, start: str) -> None:
    for parse in (FolderAddress.parse, ServerAddress.parse):
        try:
            address = parse(start + text)
        except InvalidSettingError:
            continue
        assert address.collection


@given(
    collection=st.text(
        st.characters(exclude_characters="/#\\\0", exclude_categories=["Cs"]), min_size=1
    ),
    path=st.text(st.characters(exclude_characters="~\0", exclude_categories=["Cs"]), min_size=1),
)
def test_a_folder_keeps_its_characters(collection: str, path: str) -> None:
    if collection.isspace() or collection in (".", "..") or "://" in path:
        return
    address = FolderAddress.parse(f"qdrant:{path}#{collection}")
    assert (address.path, address.collection) == (path, collection)


def test_anyone_can_add_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with the entry point, as pip would install it."""
    (tmp_path / "theirstore.py").write_text(
        "from jina_integrations.testing import MemoryStore\n"
        "class TheirStore(MemoryStore):\n"
        "    @classmethod\n"
        "    def from_address(cls, address):\n"
        "        return cls(address)\n"
    )
    metadata = tmp_path / "theirstore-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirstore\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[jina_integrations.stores]\ntheirs-2 = theirstore:TheirStore\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidSettingError, match=r"installed: .*theirs-2"):
        open_store("theirs-3:any grammar")
    for address in ("theirs-2:any grammar", "theirs-2+tcp://of its own"):
        assert repr(address) in open_store(address).name


@pytest.mark.parametrize("kind", ["qdrant-edge", "qdrant", "chroma"])
def test_opening_touches_nothing(kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"qdrant": "qdrant_client", "chroma": "chromadb"}.get(kind, "qdrant_edge"))
    addresses = [f"{kind}:{tmp_path}/index#abc"]
    if kind != "qdrant-edge":
        addresses.append(f"{kind}+http://127.0.0.1:9/abc")
    for address in addresses:
        store = open_store(address)
        assert isinstance(store, Store)
        assert "abc" in store.name
        store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of POSIX")
def test_a_folder_that_cannot_be_entered_has_an_address(tmp_path: Path) -> None:
    """Its permissions are the store's to name, when it is used."""
    user = os.geteuid()
    tmp_path.chmod(0o000)
    if user == 0:
        os.seteuid(65534)  # nobody: root enters every folder
    try:
        with pytest.raises(PermissionError):
            (tmp_path / "index").lstat()
        assert FolderAddress.parse(f"qdrant:{tmp_path}/index#x").folder == tmp_path / "index"
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_API_KEY", raising=False)
    assert read_key("SOME_API_KEY") is None
    monkeypatch.setenv("SOME_API_KEY", "")
    assert read_key("SOME_API_KEY") is None
    monkeypatch.setenv("SOME_API_KEY", "abc-123.x_y")
    assert read_key("SOME_API_KEY") == "abc-123.x_y"


@pytest.mark.parametrize("key", ["secret\n", " secret", "sécret", "sec\tret"])
def test_keys_that_no_header_takes_are_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", key)
    with pytest.raises(InvalidSettingError, match="SOME_API_KEY") as caught:
        read_key("SOME_API_KEY")
    assert key not in str(caught.value)
