"""The dashboard: a page, its style and its script, as they lie in this folder."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from headroom.api.errors import ApiError

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Nothing is loaded from elsewhere, nothing inline is run, no text becomes a script."""
SCRIPTS = (
    *("app.js", "api.js", "charts.js", "dom.js", "format.js"),
    *("lists.js", "originals.js", "overview.js", "sessions.js"),
)
KINDS = {**dict.fromkeys(SCRIPTS, "text/javascript"), "style.css": "text/css", "icon.svg": "image/svg+xml"}
"""The parts of the page, and what each is."""


def page(_: Request) -> Response:
    return _file("index.html", "text/html")


def asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in KINDS:
        raise ApiError(404, "not_found", f"the dashboard has no {name[:100]!r}")
    return _file(name, KINDS[name])


def _file(name: str, kind: str) -> Response:
    headers = {
        "content-type": f"{kind}; charset=utf-8",
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-cache",
    }
    return Response((FOLDER / name).read_bytes(), headers=headers)
