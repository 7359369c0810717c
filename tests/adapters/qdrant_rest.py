"""Qdrant's REST routes over qdrant-client's own local mode, as a process: a stand-in for a server.

What it is: a loopback HTTP server that answers the routes our store uses, by handing the parsed
request to an in-memory `QdrantClient`. It lets the tests drive the real HTTP side of qdrant-client:
addresses, the key's header, status codes, request sizes, a server that dies.

What it is not: Qdrant. No HNSW index, no write-ahead log, no concurrency, no disk. It says nothing
about the speed, the durability or the filter engine of a real server. It imitates four refusals of
the real one that matter to us: 401 without the key, 409 for a collection that exists, 413 above
32 MB, 400 for a facet without its payload index.

    python qdrant_rest.py [--api-key KEY]      prints its port, then serves until killed
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
    FacetRequest,
    FilterSelector,
    PointInsertOperations,
    PointRequest,
    QueryRequest,
)

MAX_REQUEST_BYTES = 32 * 2**20


class RefusedError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Routes:
    def __init__(self):
        self.client = QdrantClient(":memory:")
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
            ("PUT", "index"): self.index,
            ("PUT", "points"): self.upsert,
            ("POST", "points"): self.retrieve,
            ("POST", "points", "count"): self.count,
            ("POST", "points", "delete"): self.delete,
            ("POST", "points", "query"): self.query,
            ("POST", "facet"): self.facet,
        }[route](name, body)

    def create(self, name, request):
        if self.client.collection_exists(name):
            raise RefusedError(409, f"Wrong input: Collection `{name}` already exists!")
        self.indexes[name] = {}
        return self.client.create_collection(
            name, vectors_config=request.vectors, metadata=request.metadata
        )

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
        return self.client.delete(name, FilterSelector.model_validate_json(body))

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

    def facet(self, name, body):
        request = FacetRequest.model_validate_json(body)
        if request.key not in self.indexes[name]:
            raise RefusedError(400, f"Bad request: no index for `{request.key}`")
        return self.client.facet(name, request.key, limit=request.limit)


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

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

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
    arguments = parser.parse_args()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.routes = Routes()
    server.api_key = arguments.api_key
    server.version = version("qdrant-client")
    print(server.server_port, flush=True)  # noqa: T201 - the caller reads it
    server.serve_forever()


if __name__ == "__main__":
    main()
