"""Pictures of every kind that is taken, and of those that are not."""

from __future__ import annotations

import base64
import io
import os
import sys
from pathlib import Path

import pytest

from jina_integrations import images
from jina_integrations.errors import InvalidImageError, InvalidInputError, MissingExtraError
from jina_integrations.images import MAX_IMAGE_BYTES, check_image_list, read_image

pil = pytest.importorskip("PIL.Image")


def picture(mode: str = "RGB", size: tuple[int, int] = (7, 5)) -> pil.Image:
    return pil.linear_gradient("L").resize(size).convert(mode)


def encoded(kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    picture().save(content, format=kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_encoded_bytes_are_sent_as_they_are(kind: str) -> None:
    image = read_image(encoded(kind), index=0)

    assert (image.data, image.pixels, image.url) == (encoded(kind), (7, 5), None)


@pytest.mark.parametrize("as_type", [str, Path])
def test_a_file_is_read(tmp_path: Path, as_type: type) -> None:
    path = tmp_path / "a picture.png"
    path.write_bytes(encoded())

    image = read_image(as_type(path), index=0)

    assert (image.data, image.pixels) == (encoded(), (7, 5))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_a_pil_image_is_encoded_without_loss(mode: str) -> None:
    given = picture(mode)
    image = read_image(given, index=0)

    assert image.pixels == (7, 5)
    with pil.open(io.BytesIO(image.data or b"")) as sent:
        assert sent.format == "PNG"
        assert sent.convert("RGBA").tobytes() == given.convert("RGBA").tobytes()


@pytest.mark.parametrize("url", ["https://example.com/a.png", "http://host/b?c=d", "HTTPS://H/i"])
def test_a_url_is_passed_on_and_not_fetched(url: str) -> None:
    image = read_image(url, index=0)

    assert (image.url, image.data, image.pixels) == (url, None, None)


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;base64,"])
def test_a_data_url_is_decoded(head: str) -> None:
    image = read_image(head + base64.b64encode(encoded()).decode(), index=0)

    assert (image.data, image.pixels, image.url) == (encoded(), (7, 5), None)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("no/such/file.png", "No such file"),
        ("a\0b.png", "null"),
        pytest.param("x" * 5000, "name too long", id="long"),
        (b"", "no picture"),
        (b"plain text", "no picture"),
        (encoded()[:12], "no picture"),
        ("data:image/png,abc", "must hold base64"),
        ("data:image/png;base64", "must hold base64"),
        ("data:image/png;base64,!!!", "is no base64"),
        ("data:image/png;base64,aGVsbG8=", "no picture"),
        (None, "not NoneType"),
        (3, "not int"),
        (bytearray(b"x"), "not bytearray"),
        (picture("F"), "convert"),
        (picture("CMYK"), "convert"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_position(source: object, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason) as caught:
        read_image(source, index=4)

    assert caught.value.index == 4
    assert str(caught.value).startswith("images[4]")
    assert len(str(caught.value)) < 300


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (tmp_path, pipe):
        with pytest.raises(InvalidImageError, match="is no file"):
            read_image(path, index=0)


def test_a_closed_pil_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    with pil.open(path) as closed:
        pass

    with pytest.raises(InvalidImageError, match=r"images\[1\]"):
        read_image(closed, index=1)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)

    with pytest.raises(InvalidImageError) as caught:
        read_image(path, index=2)

    assert str(caught.value) == (
        "images[2] has 20,971,521 bytes, more than 20,971,520: scale it down"
    )


def test_bytes_and_pil_images_over_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_IMAGE_BYTES", 60)

    for source in (encoded(), picture(), "data:;base64," + base64.b64encode(encoded()).decode()):
        with pytest.raises(InvalidImageError, match="scale it down"):
            read_image(source, index=0)


def test_a_picture_of_absurd_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pil, "MAX_IMAGE_PIXELS", 10)

    with pytest.raises(InvalidImageError, match="no picture that Pillow can read"):
        read_image(encoded(), index=0)


def test_only_a_url_can_do_without_pillow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = encoded()
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)

    assert read_image("https://example.com/a.png", index=0).url
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[images\]"):
        read_image(content, index=0)


@pytest.mark.parametrize(
    "given", ["a.png", b"bytes", Path("a.png"), picture(), None, iter(["a.png"])]
)
def test_pictures_come_in_a_list(given: object) -> None:
    with pytest.raises(InvalidInputError, match="images must be a list"):
        check_image_list(given)


def test_a_list_of_pictures_is_returned_as_it_is() -> None:
    given = ["a.png", b"", None]

    assert check_image_list(given) is given
    assert check_image_list(()) == ()
