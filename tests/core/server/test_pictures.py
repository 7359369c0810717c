"""Pictures in requests: base64, and URLs only of the hosts that were allowed."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("PIL.Image")

import PIL.Image

from jina_integrations import Embedder
from jina_integrations.images import MAX_IMAGE_BYTES


def png(width: int, height: int, colour: str = "red") -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


RED, BLUE = png(8, 8), png(8, 8, "blue")


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def vectors(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array([item["embedding"] for item in answer.json()["data"]])


def detail(answer) -> str:
    assert (answer.status_code, answer.json()["code"]) == (400, "INPUT_INVALID"), answer.text
    return answer.json()["detail"]


@pytest.mark.parametrize(
    "spelt",
    [
        {"image": encoded(RED)},
        {"bytes": encoded(RED)},
        {"image": f"data:image/png;base64,{encoded(RED)}"},
    ],
)
def test_base64_gives_the_embedders_vector(echo, spelt) -> None:
    rows = vectors(echo.post(input=[spelt]))

    np.testing.assert_allclose(rows, Embedder("echo").embed_images([RED]), atol=1e-6)


def test_texts_and_pictures_keep_their_order(echo) -> None:
    rows = vectors(
        echo.post(
            input=[{"image": encoded(BLUE)}, "a text", {"image": encoded(RED)}, {"text": "another"}]
        )
    )

    embedder = Embedder("echo")
    np.testing.assert_allclose(rows[[0, 2]], embedder.embed_images([BLUE, RED]), atol=1e-6)
    np.testing.assert_allclose(
        rows[[1, 3]], embedder.embed_documents(["a text", "another"]), atol=1e-6
    )


def test_picture_costs_its_tiles(echo) -> None:
    usage = echo.post(input=[{"image": encoded(png(600, 500))}]).json()["usage"]

    assert usage["total_tokens"] == 2 * 1 * 4000


@pytest.mark.parametrize("bad", ["?", "a path/../x.png", "/etc/hosts", "aGVsbG8=", ""])
def test_what_is_no_picture_is_named(echo, bad) -> None:
    assert "input[1]" in detail(echo.post(input=["a", {"image": bad}]))


# URLs


class Host(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/red.png")
            self.end_headers()
            return
        body = {"/red.png": RED, "/text": b"hello", "/endless": b"\0" * (MAX_IMAGE_BYTES + 1)}
        self.send_response(200 if self.path in body else 404)
        self.end_headers()
        try:
            self.wfile.write(body.get(self.path, b""))
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[tuple[str, list[str]]]:
    """Host and port of a server of pictures, and the paths that it was asked for."""
    handler = type("Host", (Host,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"127.0.0.1:{httpd.server_port}", handler.asked
        httpd.shutdown()
        thread.join()


def test_no_url_is_fetched_unless_its_host_is_allowed(echo, host) -> None:
    where, asked = host

    assert "base64" in detail(echo.post(input=[{"image": f"http://{where}/red.png"}]))
    assert asked == []


def test_allowed_host_is_asked(serve, host) -> None:
    where, asked = host
    server = serve(image_hosts=frozenset({where}))

    rows = vectors(server.post(input=[{"url": f"http://{where}/red.png"}, "a text"]))

    np.testing.assert_allclose(rows[:1], Embedder("echo").embed_images([RED]), atol=1e-6)
    assert asked == ["/red.png"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/red.png",
        "http://127.0.0.1/red.png",
        "http://127.0.0.1:1{port}/red.png",
        "http://127.0.0.1.example.com:{port}/red.png",
        "http://127.0.0.1:{port}@example.com/red.png",
        "http://user:password@127.0.0.1:{port}/red.png",
        "http://[::1]:{port}/red.png",
        "http://127.0.0.1:{port}\\@example.com/",
        "http://:{port}/red.png",
        "http://[/red.png",
        "ftp://127.0.0.1:{port}/red.png",
        "file:///etc/hosts",
    ],
)
def test_only_the_very_host_and_port_are_asked(serve, host, url) -> None:
    where, asked = host
    server = serve(image_hosts=frozenset({where}))

    detail(server.post(input=[{"image": url.format(port=where.rpartition(":")[2])}]))

    assert asked == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/moved.png", "302"),
        ("/missing", "404"),
        ("/text", "no picture"),
        ("/endless", "bytes"),
    ],
)
def test_fetched_things_that_are_no_picture(serve, host, path, reason) -> None:
    where, asked = host
    server = serve(image_hosts=frozenset({where}))

    assert reason in detail(server.post(input=[{"image": f"http://{where}{path}"}]))
    assert asked == [path]


def test_host_that_does_not_answer(serve) -> None:
    server = serve(image_hosts=frozenset({"127.0.0.1:9"}))

    assert "ConnectError" in detail(server.post(input=[{"image": "http://127.0.0.1:9/x.png"}]))
