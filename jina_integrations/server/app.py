"""The server's paths, and the way of a request from its bytes to its answer's."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from ..errors import JinaIntegrationsError, RequestRefusedError, ServerError
from ..types import FloatArray
from ..wire import EmbeddingRequest, ErrorCode
from .access import identify
from .batching import Batcher
from .metrics import CONTENT_TYPE_LATEST, Metrics
from .openapi import Health, Model, ModelList, describe
from .pictures import read_pictures
from .problems import Answer, problem
from .rate_limit import RateLimiter
from .service import Plan, Service, Work
from .settings import ServerSettings

__all__ = ["create_app"]

_LARGE_BYTES = 32_768
"""Requests from this size on are read and answered in a thread, so that others are not held up."""

_CLIENT_LEFT = 499

_Result = TypeVar("_Result")
_log = logging.getLogger("jina_integrations.server")


def create_app(settings: ServerSettings) -> FastAPI:
    """The server as an ASGI application, its model loaded.

    Raises:
        ModelError: the model cannot be loaded, or lacks the default task.
    """
    endpoint = _Endpoint(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        endpoint.batcher.start()
        yield
        await asyncio.to_thread(endpoint.batcher.close)

    app = _Application(
        title="jina-integrations",
        lifespan=lifespan,
        routes=[
            Route("/v1/embeddings", endpoint.embeddings, methods=["POST"]),
            Route("/v1/models", endpoint.models, methods=["GET"]),
            Route("/healthz", endpoint.health, methods=["GET"]),
            Route("/metrics", endpoint.exposition, methods=["GET"]),
        ],
    )
    app.add_exception_handler(HTTPException, _no_such_path)
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return describe()


class _Endpoint:
    """The state of one server, and what its paths do."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._service = Service(settings)
        self._created = int(time.time())
        self._limiter = None if settings.rate_limit is None else RateLimiter(settings.rate_limit)
        self._metrics = Metrics(lambda: self.batcher.tokens)
        self.batcher = Batcher(
            self._service.encode,
            batch_tokens=settings.embedder.batch_tokens,
            queue_tokens=settings.queue_tokens,
            on_batch=self._metrics.on_batch,
        )

    async def embeddings(self, request: Request) -> Response:
        """``POST /v1/embeddings``."""
        start = time.perf_counter()
        request_id = uuid.uuid4().hex
        client: str | None = None
        tokens = 0
        try:
            client = identify(request, self._settings.api_key)
            async with asyncio.timeout(self._settings.request_timeout_s):
                body, tokens = await self._embed(request, client)
            answer = Answer(200, body)
        except ClientDisconnect:
            answer = Answer(_CLIENT_LEFT, b"")
        except TimeoutError:
            late = f"no answer within {self._settings.request_timeout_s:g} seconds: send less"
            answer = problem(ServerError(late, status=504, code=ErrorCode.TIMEOUT), request_id)
        except (JinaIntegrationsError, ValidationError) as exc:
            answer = problem(exc, request_id)
        except Exception as exc:  # noqa: BLE001  # the client gets the service's shape of it
            _log.exception("request %s failed", request_id)
            failed = f"the server failed with {type(exc).__name__}"
            answer = problem(ServerError(failed, status=500, code=ErrorCode.INTERNAL), request_id)
        self._metrics.on_request(answer.status, time.perf_counter() - start, tokens)
        headers = {"X-Request-Id": request_id, **answer.headers}
        if self._limiter is not None and client is not None:
            requests_left, tokens_left = self._limiter.remaining(client)
            headers["X-RateLimit-Remaining-Requests"] = str(requests_left)
            headers["X-RateLimit-Remaining-Tokens"] = str(tokens_left)
        return Response(answer.body, answer.status, headers, "application/json")

    async def _embed(self, request: Request, client: str) -> tuple[bytes, int]:
        """The answer's body, and the tokens that it cost."""
        if self._limiter is not None:
            self._limiter.check_requests(client)
        body = await self._read(request)
        large = len(body) >= _LARGE_BYTES
        plan = await _call(large, partial(self._plan, body))
        pictures = await read_pictures(
            plan.inputs, self._settings.image_hosts, self._settings.max_body_bytes
        )
        work = await _call(large, lambda: self._service.work(plan, pictures))
        if self._limiter is None:
            return await self._answer(request, plan, work), work.tokens
        admission = self._limiter.admit(client, work.tokens)
        try:
            return await self._answer(request, plan, work), work.tokens
        except BaseException:
            self._limiter.give_back(client, admission)
            raise

    async def _answer(self, request: Request, plan: Plan, work: Work) -> bytes:
        vectors: list[FloatArray] = await _unless_left(request, self.batcher.run(work.jobs()))
        large = sum(vector.nbytes for vector in vectors) >= _LARGE_BYTES
        return await _call(large, lambda: self._service.answer(plan, work, vectors))

    async def _read(self, request: Request) -> bytes:
        max_bytes = self._settings.max_body_bytes
        declared_length = request.headers.get("content-length", "")
        body = bytearray()
        if not (declared_length.isdecimal() and int(declared_length) > max_bytes):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    break
            else:
                return bytes(body)
        raise RequestRefusedError(
            f"the body has more than {max_bytes:,} bytes: send it in parts",
            status=413,
            code=ErrorCode.INVALID_INPUT,
        )

    def _plan(self, body: bytes) -> Plan:
        return self._service.plan(EmbeddingRequest.model_validate_json(body))

    async def models(self, _: Request) -> Response:
        """``GET /v1/models``, in OpenAI's shape."""
        card = self._service.card
        listed = [
            Model(
                id=name,
                created=self._created,
                dimensions=card.dimensions,
                max_tokens=card.max_tokens,
                tasks=self._service.tasks,
                late_chunking=card.late_chunking is not None,
            )
            for name in self._service.names
        ]
        return _json(ModelList(data=listed))

    async def health(self, _: Request) -> Response:
        """``GET /healthz``."""
        alive = self.batcher.alive
        return _json(Health(status="ready" if alive else "failed"), 200 if alive else 503)

    async def exposition(self, _: Request) -> Response:
        """``GET /metrics``."""
        return Response(self._metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _call(large: bool, work: Callable[[], _Result]) -> _Result:
    """Run what may take long in a thread; for the rest that would cost more than it saves."""
    return await asyncio.to_thread(work) if large else work()


async def _unless_left(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns; it is cancelled when the client closes the connection.

    Raises:
        ClientDisconnect: it did.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watcher.cancel()
        # An answer goes out only when what it ends has left the queue.
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _no_such_path(_: Request, exc: Exception) -> Response:
    """What is neither a path nor a method of one, in the service's shape."""
    if not isinstance(exc, HTTPException):
        raise exc
    code = ErrorCode.NOT_FOUND if exc.status_code == 404 else ErrorCode.INVALID_INPUT
    refused = RequestRefusedError(exc.detail, status=exc.status_code, code=code)
    answer = problem(refused, uuid.uuid4().hex)
    headers = {**(exc.headers or {}), **answer.headers}
    return Response(answer.body, answer.status, headers, "application/json")


def _json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")
