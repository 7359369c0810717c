"""Qdrant's gRPC services over qdrant-client's local mode, as a process: a stand-in for a server.

Like `qdrant_rest.py`, of which it says what it is not: it answers the calls that our store makes,
through the servicers and conversions that qdrant-client ships, from an in-memory `QdrantClient`.

    python qdrant_grpc.py [--api-key KEY]      prints its port, then serves until killed
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

import grpc
from qdrant_client import QdrantClient
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, payload_to_grpc
from qdrant_client.grpc.collections_service_pb2_grpc import (
    CollectionsServicer,
    add_CollectionsServicer_to_server,
)
from qdrant_client.grpc.points_service_pb2_grpc import PointsServicer, add_PointsServicer_to_server

DONE = messages.PointsOperationResponse(
    result=messages.UpdateResult(operation_id=0, status=messages.UpdateStatus.Completed)
)


class Collections(CollectionsServicer):
    def __init__(self, client):
        self.client = client

    def CollectionExists(self, request, _):  # noqa: N802 - the names are the protocol's
        exists = self.client.collection_exists(request.collection_name)
        return messages.CollectionExistsResponse(result=messages.CollectionExists(exists=exists))

    def Create(self, request, context):  # noqa: N802
        name = request.collection_name
        if self.client.collection_exists(name):
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{name}` already exists!")
        self.client.create_collection(
            name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        return messages.CollectionOperationResponse(result=True)

    def Update(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        metadata = GrpcToRest.convert_payload(request.metadata)
        self.client.update_collection(request.collection_name, metadata=metadata)
        return messages.CollectionOperationResponse(result=True)

    def Delete(self, request, _):  # noqa: N802
        done = self.client.delete_collection(request.collection_name)
        return messages.CollectionOperationResponse(result=done)

    def Get(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        info = self.client.get_collection(request.collection_name)
        return messages.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))


class Points(PointsServicer):
    def __init__(self, client):
        self.client = client

    def CreateFieldIndex(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        return DONE

    def Upsert(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self.client.upsert(request.collection_name, points)
        return DONE

    def Delete(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        selector = GrpcToRest.convert_points_selector(request.points)
        self.client.delete(request.collection_name, selector)
        return DONE

    def Count(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        selection = GrpcToRest.convert_filter(request.filter)
        count = self.client.count(request.collection_name, count_filter=selection).count
        return messages.CountResponse(result=messages.CountResult(count=count))

    def Scroll(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        points, offset = self.client.scroll(
            request.collection_name,
            scroll_filter=GrpcToRest.convert_filter(request.filter),
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset)
            if request.HasField("offset")
            else None,
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        return messages.ScrollResponse(
            result=[RestToGrpc.convert_record(point) for point in points],
            next_page_offset=None
            if offset is None
            else RestToGrpc.convert_extended_point_id(offset),
        )

    def Query(self, request, context):  # noqa: N802
        require(self.client, request.collection_name, context)
        points = self.client.query_points(
            request.collection_name,
            query=GrpcToRest.convert_query(request.query),
            limit=request.limit,
            query_filter=GrpcToRest.convert_filter(request.filter),
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
        ).points
        return messages.QueryResponse(
            result=[
                messages.ScoredPoint(
                    id=RestToGrpc.convert_extended_point_id(point.id),
                    payload=payload_to_grpc(point.payload),
                    score=point.score,
                )
                for point in points
            ]
        )


def require(client, name, context):
    if not client.collection_exists(name):
        context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")


class KeyRequired(grpc.ServerInterceptor):
    def __init__(self, key):
        self.key = key

    def intercept_service(self, continuation, details):
        if ("api-key", self.key) in [tuple(item) for item in details.invocation_metadata]:
            return continuation(details)

        def refuse(_, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key")

        return grpc.unary_unary_rpc_method_handler(refuse)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--api-key")
    key = parser.parse_args().api_key
    client = QdrantClient(":memory:", force_disable_check_same_thread=True)
    server = grpc.server(
        ThreadPoolExecutor(1),  # local mode is made for one thread
        interceptors=[KeyRequired(key)] if key else [],
        options=[("grpc.max_receive_message_length", 32 * 2**20)],
    )
    add_CollectionsServicer_to_server(Collections(client), server)
    add_PointsServicer_to_server(Points(client), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the caller reads it
    server.wait_for_termination()


if __name__ == "__main__":
    main()
