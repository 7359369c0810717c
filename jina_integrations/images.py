"""Pictures to embed: files, bytes, PIL images and URLs, checked before anything is sent."""

from __future__ import annotations

import base64
import binascii
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from .errors import InvalidImageError, InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["MAX_IMAGE_BYTES", "Image", "ImageSource", "check_image_list", "read_image"]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | PIL.Image.Image"
"""A path, encoded bytes (PNG, JPEG, WebP, …), a PIL image, or an http, https or data URL."""

MAX_IMAGE_BYTES: Final = 20 * 2**20
"""A larger file is refused; base64 makes it a third larger in the request."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture that was checked.

    Attributes:
        url: Where the service finds it; None where `data` has it.
        data: The encoded file.
        pixels: Width and height; None for a URL, which is not fetched here.
    """

    url: str | None = None
    data: bytes | None = None
    pixels: tuple[int, int] | None = None


def check_image_list(images: object) -> Sequence[object]:
    """The images, once they are known to be a list.

    Raises:
        InvalidInputError: a single one was passed, or something that is no sequence.
    """
    if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Sequence):
        raise InvalidInputError(
            f"must be a list, not {type(images).__name__}: wrap a single picture in a list",
            argument="images",
        )
    return images


def read_image(source: object, *, index: int) -> Image:
    """A picture, ready to be sent. Files and bytes are only looked at, not decoded.

    Args:
        source: See `ImageSource`.
        index: Its position in the caller's list, carried by the error.

    Raises:
        InvalidImageError: no such file, no picture, larger than `MAX_IMAGE_BYTES`, or wrong type.
        MissingExtraError: Pillow is not installed, and the picture is no URL.
    """
    scheme = source[:8].lower() if isinstance(source, str) else ""
    if isinstance(source, str) and scheme.startswith(("http://", "https://")):
        return Image(url=source)
    if isinstance(source, str) and scheme.startswith("data:"):
        return _identify(_from_data_url(source, index), index)
    if isinstance(source, bytes):
        return _identify(source, index)
    if isinstance(source, str | os.PathLike):
        return _identify(_from_file(Path(source), index), index)
    return _encode(source, index)


def _from_file(path: Path, index: int) -> bytes:
    try:
        status = path.stat()
        readable = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_IMAGE_BYTES
        data = path.read_bytes() if readable else b""
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise _bad(f"cannot be read: {str(path)!r:.100}: {reason}", index) from exc
    if not stat.S_ISREG(status.st_mode):
        raise _bad(f"is no file: {str(path)!r:.100}", index)
    if not readable:
        raise _too_large(status.st_size, index)
    return data


def _from_data_url(url: str, index: int) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _bad("is a data URL, which must hold base64", index)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad(f"is no base64: {exc}", index) from exc


def _identify(data: bytes, index: int) -> Image:
    if len(data) > MAX_IMAGE_BYTES:
        raise _too_large(len(data), index)
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(data)) as picture:
            return Image(data=data, pixels=picture.size)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as exc:
        raise _bad(f"holds {len(data):,} bytes, no picture that Pillow can read", index) from exc


def _encode(source: object, index: int) -> Image:
    pillow = _pillow()
    if not isinstance(source, pillow.Image):
        raise _bad(
            f"must be a path, bytes, a PIL image or a URL, not {type(source).__name__}", index
        )
    encoded = io.BytesIO()
    try:
        cast("PIL.Image.Image", source).save(encoded, format="PNG")
    except (OSError, ValueError, SyntaxError, EOFError, AssertionError) as exc:
        reason = str(exc) or type(exc).__name__  # Pillow asserts that a lazy image is still open
        raise _bad(
            f"cannot be written as PNG ({reason}): is it closed, or of a mode that needs "
            ".convert('RGB')?",
            index,
        ) from exc
    return _identify(encoded.getvalue(), index)


def _too_large(size: int, index: int) -> InvalidImageError:
    return _bad(f"has {size:,} bytes, more than {MAX_IMAGE_BYTES:,}: scale it down", index)


def _bad(reason: str, index: int) -> InvalidImageError:
    return InvalidImageError(reason, argument="images", index=index)


def _pillow() -> ModuleType:
    try:
        import PIL.Image
    except ModuleNotFoundError as exc:
        raise MissingExtraError("a picture that is no URL", "images") from exc
    return PIL.Image
