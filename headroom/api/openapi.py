"""The OpenAPI document of what the proxy answers itself; a test holds it against the routes and the answers."""

from typing import Any

from headroom.api.dashboard import KINDS

type Json = dict[str, Any]

_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_OBJECT: Json = {"type": "object"}
_HASH: Json = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_MESSAGE: Json = {
    "type": "object",
    "description": "As one of the providers' APIs has it: Anthropic's, OpenAI's two, Gemini's.",
    "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
}
_CALL: Json = {
    "type": "object",
    "description": "As OpenAI (id, function: name and arguments) or Anthropic (id, name, input) write it.",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string", "description": "headroom_retrieve, or a name that ends so."},
        "input": {"description": "hash and perhaps query. What is wrong in it is told to the model, not refused."},
        "function": {"type": "object", "description": "name, and arguments as JSON text."},
    },
}


def _body_of(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


COMPRESS_BODY = _body_of(
    ["messages"],
    messages={"type": "array", "items": _MESSAGE},
    model={"type": "string", "minLength": 1},
    token_budget={"type": ["integer", "null"], "minimum": 1},
    config={
        "type": ["object", "null"],
        "properties": {"default_mode": {"enum": ["audit", "optimize", "simulate"]}},
    },
)
RETRIEVE_BODY = _body_of(["hash"], hash=_HASH, query={"type": ["string", "null"]})
TOOL_CALL_BODY = _body_of(["tool_call"], tool_call=_CALL, provider={"enum": ["openai", "anthropic"]})
LOGIN_BODY = _body_of(["key"], key={"type": "string"})
"""What the bodies of requests have to be; a body is held against the very same schema (``checking``)."""
_MISSING = (400, 401, 404, 410, 411, 413, 503)
_KEYS: list[Json] = [{}, {"bearer": []}, {"header": []}, {"cookie": []}]


def document(version: str) -> Json:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "headroom",
            "version": version,
            "description": "The local HTTP API of `headroom proxy`. Model calls (/v1/messages, /v1/chat/completions, "
            "/v1/responses and Gemini's paths) are sent on to their provider and described by it.",
        },
        "paths": _paths(),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "HEADROOM_API_KEY, where one is set"},
                "header": {"type": "apiKey", "in": "header", "name": "x-headroom-api-key"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "headroom_session"},
            },
        },
        "security": _KEYS,
    }


def _paths() -> Json:
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50})
    return {
        "/health": {"get": _get("Whether the proxy works, its version and how it is set.", _HEALTH, errors=())},
        "/livez": {"get": _get("Whether the process lives.", _status("alive"), errors=())},
        "/readyz": {"get": _get("Whether requests are taken and written down.", _status("ready"), errors=(503,))},
        "/stats": {"get": _get("Sums of all time and today, and the newest 100 requests.", _STATS)},
        "/stats/summary": {
            "get": _get(
                "Sums by project, model, client and strategy.",
                _object("since", "totals", "by"),
                [_query("since", {"type": "string", "enum": ["today", "week", "all"], "default": "all"})],
                errors=(400, 401),
            )
        },
        "/stats-history": {
            "get": _get(
                "Sums over time, oldest first.",
                _object("series"),
                [
                    _query(
                        "series",
                        {"type": "string", "enum": ["history", "hourly", "daily", "weekly", "monthly"]},
                    ),
                    _query("format", {"type": "string", "enum": ["json", "csv"]}),
                ],
                errors=(400, 401),
                others={"text/csv": {"schema": {"type": "string"}}},
            )
        },
        "/metrics": {"get": _text("The same for Prometheus.", "text/plain")},
        "/cache/clear": {
            "post": _get("Forget what the semantic cache holds.", _object("status", "entries"), errors=(401, 503))
        },
        "/v1/compress": {
            "post": {
                **_get(
                    "Write messages in fewer tokens. compression_ratio is tokens after by tokens before.",
                    _object("messages", "tokens_before", "tokens_after", "tokens_saved", "compression_ratio"),
                    errors=(400, 401, 411, 413),
                ),
                "requestBody": _body(COMPRESS_BODY),
            }
        },
        "/v1/retrieve": {
            "post": {
                **_get("The original that a marker names, or what in it matches.", _object("hash"), errors=_MISSING),
                "requestBody": _body(RETRIEVE_BODY),
            }
        },
        "/v1/retrieve/{hash}": {
            "get": _get(
                "The same.",
                _object("hash"),
                [
                    {"name": "hash", "in": "path", "required": True, "schema": _HASH},
                    _query("query", {"type": "string"}),
                ],
                errors=_MISSING,
            )
        },
        "/v1/retrieve/stats": {"get": _get("What is kept, what was asked for.", _object("store"), errors=(401, 503))},
        "/v1/retrieve/tool_call": {
            "post": {
                **_get(
                    "Answer a model's call of headroom_retrieve.",
                    _object("tool_result", "success", "data"),
                    errors=_MISSING,
                ),
                "requestBody": _body(TOOL_CALL_BODY),
            }
        },
        "/sessions": {"get": _get("The newest sessions.", _object("sessions"), [limit], errors=(400, 401))},
        "/sessions/{session}": {
            "get": _get(
                "A session, exchange by exchange and block by block. Texts only for whoever shows the key.",
                _object("session", "totals", "texts", "exchanges"),
                [{"name": "session", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}],
                errors=(401, 404),
            )
        },
        "/troubles": {
            "get": _get(
                "The newest requests that failed or were left alone, and why requests were not rewritten.",
                _object("requests", "reasons"),
                [limit],
                (400, 401),
            )
        },
        "/retrievals": {
            "get": _get(
                "What was given back of late, over HTTP and to models.", _object("retrievals"), [limit], (400, 401, 503)
            )
        },
        "/events": {
            "get": _operation(
                "Server-sent events: each exchange as it ends.",
                {"text/event-stream": {"schema": {"type": "object", "properties": {"id": {"type": "string"}}}}},
                [
                    _query("after", {"type": "integer", "minimum": 0, "maximum": 2**53}),
                    {
                        "name": "last-event-id",
                        "in": "header",
                        "schema": {"type": "integer", "minimum": 0, "maximum": 2**53},
                    },
                ],
                errors=(400, 401),
            )
        },
        "/subscription": {
            "get": _get("How full the windows of plans are, as the provider's own answers said.", _object("plans"))
        },
        "/openapi.json": {"get": _get("This document.", _object("openapi", "info", "paths"))},
        "/dashboard/login": {
            "post": {
                **_get("Show the key, get a cookie.", _object("status"), errors=(400, 401)),
                "requestBody": _body(LOGIN_BODY),
            }
        },
        "/dashboard": {"get": _text("The dashboard.", "text/html", errors=())},
        "/dashboard/static/{name}": {
            "get": {
                "summary": "Its parts.",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "enum": list(KINDS)},
                    }
                ],
                "responses": {
                    "200": {
                        "description": "The file.",
                        "content": {kind: {"schema": {"type": "string"}} for kind in sorted(set(KINDS.values()))},
                    },
                    "404": _error(),
                },
            }
        },
        "/": {"get": _text("The dashboard.", "text/html", errors=())},
    }


def _object(*names: str) -> Json:
    return {"type": "object", "required": list(names)}


def _status(value: str) -> Json:
    return {"type": "object", "required": ["status"], "properties": {"status": {"const": value}}}


_HEALTH: Json = {
    "type": "object",
    "required": ["status", "version", "config"],
    "properties": {
        "status": {"enum": ["healthy", "degraded"]},
        "version": {"type": "string"},
        "uptime_seconds": {"type": "number"},
        "config": {
            "type": "object",
            "required": ["optimize", "cache", "rate_limit"],
            "properties": {name: {"type": "boolean"} for name in ("optimize", "cache", "rate_limit")},
        },
    },
}
_STATS: Json = {
    "type": "object",
    "required": ["requests", "tokens", "latency", "overhead", "compression", "cost", "recent_requests"],
    "properties": {
        "requests": {"type": "object", "properties": {"total": {"type": "integer"}, "failed": {"type": "integer"}}},
        "tokens": {"type": "object", "properties": {"saved": {"type": "integer"}}},
        "recent_requests": {"type": "array", "items": _OBJECT},
    },
}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _error() -> Json:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": "Why not.", "content": {"application/json": {"schema": schema}}}


def _get(
    summary: str,
    schema: Json,
    parameters: list[Json] | None = None,
    errors: tuple[int, ...] = (401,),
    others: Json | None = None,
) -> Json:
    content = {"application/json": {"schema": schema}, **(others or {})}
    return _operation(summary, content, parameters, errors)


def _text(summary: str, kind: str, parameters: list[Json] | None = None, errors: tuple[int, ...] = (401,)) -> Json:
    return _operation(summary, {kind: {"schema": {"type": "string"}}}, parameters, errors)


def _operation(summary: str, content: Json, parameters: list[Json] | None, errors: tuple[int, ...]) -> Json:
    return {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **{str(status): _error() for status in (*errors, 403, 421, 429)},
        },
    }
