"""Errors as the API says them: ``{"error": {"type", "message"}}``."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from headroom import errors

_TYPES: tuple[tuple[type[errors.HeadroomError], str, int], ...] = (
    (errors.ConfigurationError, "configuration_error", 400),
    (errors.ProviderError, "provider_error", 502),
    (errors.StorageError, "storage_error", 503),
    (errors.TokenizationError, "tokenization_error", 500),
    (errors.CacheError, "cache_error", 500),
    (errors.TransformError, "transform_error", 500),
    (errors.CompressionError, "compression_error", 500),
    (errors.ValidationError, "validation_error", 400),
)
"""The names that the TypeScript SDK turns into its own error classes."""
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 410: "expired", 429: "rate_limit_error"}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status, self.type, self.message = status, type, message


class JSONResponse(Response):
    """JSON in ASCII: a lone surrogate, which UTF-8 does not have, goes back as it came."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_response(status: int, type: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"type": type, "message": message}}, status, headers)


def on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error.status, error.type, error.message)


def on_headroom_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.HeadroomError)
    kind, status = next(((name, code) for cls, name, code in _TYPES if isinstance(error, cls)), ("error", 500))
    return error_response(status, kind, error.message)


def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, "validation_error")
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return error_response(error.status_code, kind, message, dict(error.headers or {}))


def on_any_error(_: Request, error: Exception) -> Response:
    """What nobody expected; its message stays here, for it may quote a request."""
    return error_response(500, "internal_error", f"the proxy failed to answer: {type(error).__name__}")
