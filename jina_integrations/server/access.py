"""Who asks, and whether they may."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.requests import Request

from ..errors import AuthenticationError
from ..wire import ErrorCode

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["identify"]


def identify(request: Request, api_key: SecretStr | None) -> str:
    """A name for the client: of its key, or of its address where it sent none.

    Args:
        request: Its headers are looked at.
        api_key: What it must have; None takes everybody.

    Raises:
        AuthenticationError: it has no key, or a wrong one.
    """
    header = request.headers.get("authorization")
    scheme, _, given = (header or "").partition(" ")
    given = given.strip()
    bears = scheme.lower() == "bearer" and bool(given)
    if api_key is not None:
        if header is None:
            raise _refused("no API key: send Authorization: Bearer <key>", ErrorCode.MISSING_KEY)
        if not bears:
            raise _refused(
                "the Authorization header must be Bearer <key>", ErrorCode.INVALID_KEY_FORMAT
            )
        # Bytes, because compare_digest refuses text beyond ASCII.
        if not hmac.compare_digest(given.encode(), api_key.get_secret_value().encode()):
            raise _refused("the API key is not the server's", ErrorCode.INVALID_KEY)
    if bears:
        return f"key {given}"
    return f"address {request.client.host if request.client else ''}"


def _refused(message: str, code: ErrorCode) -> AuthenticationError:
    return AuthenticationError(message, status=401, code=code)
