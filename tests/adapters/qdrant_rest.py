"""Qdrant's REST routes over qdrant-client's own local mode, as a process: a stand-in for a server.

What it is: a loopback HTTP server that answers the routes our store uses, by handing the parsed
request to an in-memory `QdrantClient`. It lets the tests drive the real HTTP side of qdrant-client:
addresses, the key's header, status codes, request sizes, a server that dies.

What it is not: Qdrant. No HNSW index, no write-ahead log, no concurrency, no disk. It says nothing
about the speed, the durability or the filter engine of a real server. It imitates four refusals of
the real one that matter to us: 401 without the key, 404 without the collection, 409 for one that
exists, 413 above 32 MB.

    python qdrant_rest.py [--api-key KEY] [--no-metadata]   prints its port, serves until killed

`--no-metadata` forgets what a collection is told to remember, as servers before 1.16 do.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models
from qdrant_client.http.models import (
    CountRequest,
    CreateCollection,
    CreateFieldIndex,
    PointInsertOperations,
    PointRequest,
    PointsSelector,
    QueryRequest,
    ScrollRequest,
    UpdateCollection,
)

MAX_REQUEST_BYTES = 32 * 2**20


class RefusedError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Routes:
    def __init__(self, *, keeps_metadata=True):
        self.client = QdrantClient(":memory:")
        self.keeps_metadata = keeps_metadata
        self.indexes = {}

    def answer(self, method, path, body):
        parts = path.split("?")[0].strip("/").split("/")
        if parts == [""]:
            return None
        _, name, *rest = parts
        route = (method, *rest)
        if route == ("GET", "exists"):
            return {"exists": self.client.collection_exists(name)}
        if route == ("PUT",):
            return self.create(name, CreateCollection.model_validate_json(body))
        if route == ("DELETE",):
            return self.client.delete_collection(name)
        if not self.client.collection_exists(name):
            raise RefusedError(404, f"Not found: Collection `{name}` doesn't exist!")
        return {
            ("GET",): self.info,
            ("PATCH",): self.change,
            ("PUT", "index"): self.index,
            ("PUT", "points"): self.upsert,
            ("POST", "points"): self.retrieve,
            ("POST", "points", "count"): self.count,
            ("POST", "points", "delete"): self.delete,
            ("POST", "points", "query"): self.query,
            ("POST", "points", "scroll"): self.scroll,
        }[route](name, body)

    def create(self, name, request):
        if self.client.collection_exists(name):
            raise RefusedError(409, f"Wrong input: Collection `{name}` already exists!")
        self.indexes[name] = {}
        metadata = request.metadata if self.keeps_metadata else None
        return self.client.create_collection(
            name, vectors_config=request.vectors, metadata=metadata
        )

    def change(self, name, body):
        request = UpdateCollection.model_validate_json(body)
        return self.client.update_collection(name, metadata=request.metadata)

    def info(self, name, _):
        info = self.client.get_collection(name)
        info.payload_schema = self.indexes[name]
        return info

    def index(self, name, body):
        request = CreateFieldIndex.model_validate_json(body)
        schema = request.field_schema
        params = None if isinstance(schema, models.PayloadSchemaType) else schema
        kind = models.PayloadSchemaType(params.type if params else schema)
        info = models.PayloadIndexInfo(data_type=kind, params=params, points=0)
        self.indexes[name][request.field_name] = info
        return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)

    def upsert(self, name, body):
        request = TypeAdapter(PointInsertOperations).validate_json(body)
        points = request.batch if isinstance(request, models.PointsBatch) else request.points
        return self.client.upsert(name, points=points)

    def retrieve(self, name, body):
        request = PointRequest.model_validate_json(body)
        return self.client.retrieve(name, request.ids, with_payload=request.with_payload)

    def count(self, name, body):
        request = CountRequest.model_validate_json(body)
        return self.client.count(name, count_filter=request.filter)

    def delete(self, name, body):
        return self.client.delete(name, TypeAdapter(PointsSelector).validate_json(body))

    def query(self, name, body):
        request = QueryRequest.model_validate_json(body)
        return self.client.query_points(
            name,
            query=request.query,
            using=request.using,
            prefetch=request.prefetch,
            search_params=request.params,
            limit=request.limit,
            query_filter=request.filter,
            with_payload=request.with_payload,
        )

    def scroll(self, name, body):
        request = ScrollRequest.model_validate_json(body)
        points, offset = self.client.scroll(
            name,
            scroll_filter=request.filter,
            limit=request.limit,
            offset=request.offset,
            with_payload=request.with_payload,
            with_vectors=request.with_vector,
        )
        return models.ScrollResult(points=points, next_page_offset=offset)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        key = self.server.api_key
        try:
            if key is not None and self.headers.get("api-key") != key and self.path != "/":
                raise RefusedError(401, "Must provide an API key or an Authorization bearer token")
            if len(body) > MAX_REQUEST_BYTES:
                raise RefusedError(413, "Payload too large")
            result = self.server.routes.answer(self.command, self.path, body)
            self.send(200, {"result": plain(result), "status": "ok", "time": 0.0})
        except RefusedError as exc:
            self.send(exc.status, {"status": {"error": str(exc)}, "time": 0.0})
        except ValueError as exc:
            self.send(400, {"status": {"error": f"Wrong input: {exc}"}, "time": 0.0})

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

    def send(self, status, answer):
        if self.path == "/":
            answer = {"title": "qdrant_rest.py", "version": self.server.version}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def plain(result):
    if isinstance(result, list):
        return [plain(item) for item in result]
    return result.model_dump(mode="json") if hasattr(result, "model_dump") else result


def main():
    from importlib.metadata import version

    parser = argparse.ArgumentParser()
    parser.add_argument("--api-key")
    parser.add_argument("--no-metadata", action="store_true")
    arguments = parser.parse_args()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.routes = Routes(keeps_metadata=not arguments.no_metadata)
    server.api_key = arguments.api_key
    server.version = version("qdrant-client")
    print(server.server_port, flush=True)  # noqa: T201 - the caller reads it
    server.serve_forever()


if __name__ == "__main__":
    main()
