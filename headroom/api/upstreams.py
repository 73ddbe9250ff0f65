"""Which provider a request is for that names none: a client was given the proxy as its base URL."""

import re
from collections.abc import Mapping

ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
GEMINI, CHATGPT = "generativelanguage.googleapis.com", "chatgpt.com"
HINT = (
    "base URLs are http://HOST:PORT for Anthropic's and Google's clients and http://HOST:PORT/v1 for OpenAI's; "
    "/openapi.json has what this proxy answers itself"
)
_gemini = re.compile(
    r"(?:/upload)?/v1(?:alpha|beta)\d*/.*|/v1/(?:models|tunedModels)/[^/:]+:[A-Za-z]+|/v1/cachedContents.*"
).fullmatch
_anthropic = re.compile(r"/v1/(?:messages|complete|organizations|skills)(?:/.*)?|/api/.*").fullmatch


def upstream(path: str, headers: Mapping[str, str]) -> str | None:
    """The provider's host for a path; ``headers`` (lower-case names) tell whose it is where several have it.

    None for a path that no provider has.
    """
    path = path.partition("?")[0]
    if path.startswith("/backend-api/"):
        return CHATGPT
    if _gemini(path):
        return GEMINI
    if _anthropic(path):
        return ANTHROPIC
    if path.startswith("/v1/"):
        if "anthropic-version" in headers or "x-api-key" in headers:
            return ANTHROPIC
        return GEMINI if "x-goog-api-key" in headers else OPENAI
    return None
