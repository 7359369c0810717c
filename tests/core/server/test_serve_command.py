"""``jina-integrations serve`` as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("typer")

from jina_integrations.errors import MissingExtraError

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "JINA_SERVER_API_KEY"
} | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
KEY = "jina_" + "k" * 20

SLOW = """
import runpy, sys, time
fakes = runpy.run_path(sys.argv.pop(1))
fakes["operations_module"].make_backend = fakes["WordBackend"]
fakes["WordBackend"].before_call = lambda: time.sleep(0.2)
from jina_integrations.cli import main
main()
"""


def command(*arguments: str, slow: bool = False) -> list[str]:
    fakes = str(ROOT / "tests" / "core" / "conftest.py")
    how = ["-c", SLOW, fakes] if slow else ["-m", "jina_integrations.cli"]
    return [sys.executable, *how, "serve", *arguments]


def refused(*arguments: str, **environment: str) -> str:
    """The one line on stderr of a command that exits with code 2."""
    result = subprocess.run(
        command(*arguments),
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


@contextmanager
def running(*arguments: str, **options) -> Iterator[tuple[subprocess.Popen, str]]:
    """A process that takes requests, and its base URL."""
    environment = ENVIRONMENT | options.pop("env", {})
    process = subprocess.Popen(
        command("--port", "0", *arguments, **options),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever starts the tests may ignore SIGINT, as shells do for what runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " is served at http" in line, process.communicate()[1]
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def post(url: str, **body: object) -> tuple[int, dict]:
    request = urllib.request.Request(
        f"{url}/embeddings",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


def test_one_line_tells_the_url_when_it_answers() -> None:
    with running("--embedder", "echo", "--model-name", "other") as (process, url):
        status, body = post(url, model="other", input=["one", "two"])
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert (status, len(body["data"])) == (200, 2)
    assert (process.returncode, stdout, stderr) == (130, "", "stopped\n")


def test_key_comes_from_the_environment_and_is_never_printed() -> None:
    with running("--embedder", "echo", env={"JINA_SERVER_API_KEY": KEY}) as (process, url):
        assert post(url, model="echo", input="a")[0] == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/embeddings", b"{}")
        process.terminate()
        output = process.communicate(timeout=30)

    assert caught.value.code == 401
    assert (process.returncode, output) == (0, ("", ""))


def test_sigterm_lets_requests_under_way_finish() -> None:
    with (
        running("--embedder", "words", "--batch-tokens", "4", slow=True) as (process, url),
        ThreadPoolExecutor(2) as pool,
    ):
        texts = ["a b c d", "e f g h", "i j k l", "m n o p"]
        answers = [pool.submit(post, url, model="words", input=texts) for _ in range(2)]
        metrics = url.removesuffix("/v1") + "/metrics"
        deadline = time.monotonic() + 20
        while "jina_queue_tokens 32.0" not in urllib.request.urlopen(metrics).read().decode():
            assert time.monotonic() < deadline
        process.terminate()
        done = [answer.result() for answer in answers]
        process.wait(timeout=30)

    assert [(status, len(body["data"])) for status, body in done] == [(200, 4), (200, 4)]
    assert process.returncode == 0


def test_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        line = refused("--embedder", "echo", "--port", port)

    assert line == (
        f"error: 127.0.0.1 port {port} is taken: stop what listens there, or choose --port\n"
    )


def test_beyond_loopback_a_key_is_needed() -> None:
    assert "--insecure" in refused("--embedder", "echo", "--host", "0.0.0.0")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--embedder", "no-such-model"], "no-such-model"),
        (["--embedder", "echo", "--rate-limit", "many"], "REQUESTS,TOKENS"),
        (["--embedder", "echo", "--max-inputs", "5000"], "max inputs"),
        (["--embedder", "echo", "--default-task", "poetry"], "default task"),
        (["--embedder", "echo", "--host", "no.such.host.invalid", "--insecure"], "no.such.host"),
        (["--embedder", "echo", "--api-key", "two words"], "API key"),
    ],
)
def test_wrong_options_are_one_line(arguments, named) -> None:
    line = refused(*arguments)

    assert line.startswith("error: ")
    assert named in line
    assert "two words" not in line


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from jina_integrations.server import ServerSettings, create_app, serve
    from jina_integrations.settings import EmbedderSettings

    for name in [name for name in sys.modules if name.startswith("jina_integrations.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    settings = ServerSettings(embedder=EmbedderSettings(model="echo"))

    with pytest.raises(MissingExtraError, match=r"jina-integrations\[server\]"):
        create_app(settings)
    with pytest.raises(MissingExtraError, match=r"jina-integrations\[server\]"):
        serve(settings, print)


def test_importing_the_package_loads_no_server_library() -> None:
    names = "{'fastapi', 'starlette', 'uvicorn', 'prometheus_client'}"
    code = (
        "import sys, jina_integrations.server, jina_integrations.cli.app;"
        f"sys.exit(bool({names} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT).returncode == 0


def test_threads_of_an_embedded_app_end_with_it() -> None:
    import asyncio

    from jina_integrations.server import ServerSettings, create_app
    from jina_integrations.settings import EmbedderSettings

    before = set(threading.enumerate())

    async def run() -> set[threading.Thread]:
        app = create_app(ServerSettings(embedder=EmbedderSettings(model="echo")))
        async with app.router.lifespan_context(app):
            return set(threading.enumerate()) - before

    started = asyncio.run(run())

    assert {thread.name for thread in started} == {"jina-batcher"}
    assert not any(thread.is_alive() for thread in started)
