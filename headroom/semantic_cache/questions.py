"""What a request asks, and in which circumstances: everything that shapes its answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from headroom.config import SemanticCacheConfig
from headroom.messages import LIST

LONGEST = 1_000
"""Characters of a text that is compared by its meaning: the embedder reads the beginning only."""
_SHAPELESS = ("metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "store")
"""Fields that say who asks, or what becomes of the answer elsewhere, and nothing about the answer."""
_PATHS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"/messages$"), "anthropic"),
    (re.compile(r"/chat/completions$"), "openai-chat"),
    (re.compile(r"/responses$"), "openai-responses"),
    (re.compile(r":(?:generateContent|streamGenerateContent)$"), "gemini"),
)
KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "openai-organization", "openai-project")
"""Headers that say whose request it is."""
VERSIONS = ("anthropic-version", "anthropic-beta", "openai-beta", "accept")
_telling = re.compile(
    r"\d+(?:[.,:]\d+)*|[\w-]*[_./@\\][\w./@\\-]*\w|\b[a-z]+[A-Z]\w*|\"[^\"\n]*\"|`[^`\n]*`"
    r"|\b(?:not?|never|none|nothing|nobody|without|except|unless|isn|aren|don|doesn|didn|won|can|cannot|mustn)\b(?='t)?"
)


@dataclass(frozen=True, slots=True)
class Question:
    """``scope`` tells all that shapes the answer but ``text``, what the user said last; ``exact`` tells both.

    ``reason`` says why its answer may not be kept or taken from elsewhere; "" when it may. ``text`` is "" where only
    the very same request will do.
    """

    exact: str = ""
    scope: str = ""
    text: str = ""
    reason: str = ""


def shape_of(path: str) -> str:
    """The shape of requests to a path; "" for one that asks no model."""
    return next((shape for pattern, shape in _PATHS if pattern.search(path)), "")


def tenant(headers: Mapping[str, str]) -> str:
    """Who asks, and by which version of an API, as a hash; ``headers`` with lower-case names."""
    whose = [f"{name}:{headers.get(name, '')}" for name in (*KEYS, *VERSIONS)]
    return sha256("\0".join(whose).encode("utf-8", "surrogateescape")).hexdigest()


def question(shape: str, url: str, body: bytes, config: SemanticCacheConfig, tenant: str = "") -> Question:
    """The question in a request to ``url``. What one ``tenant`` asked is no answer for another."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Question(reason="not read")
    if not isinstance(said, dict):
        return Question(reason="not read")
    reason = _why_not(shape, said, config)
    if reason:
        return Question(reason=reason)
    for name in _SHAPELESS:
        said.pop(name, None)
    if b'"cache_control"' in body:
        said = _without_breakpoints(said)
    exact = _hash(tenant, url, said)
    text = _take_text(shape, said)
    if not text or len(text) > LONGEST:
        return Question(exact, exact, "")
    return Question(exact, _hash(tenant, url, said), text)


def telling(text: str) -> list[str]:
    """What in a text makes another question of it, however similar the rest: numbers, names in code, negations, words
    in quotes."""
    return sorted(match[0] for match in _telling.finditer(text))


def _why_not(shape: str, said: Mapping[str, Any], config: SemanticCacheConfig) -> str:
    if not config.with_tools and any(said.get(name) for name in ("tools", "functions", "mcp_servers")):
        return "it has tools"
    settings: Any = said
    if shape == "gemini":
        settings = said.get("generationConfig") or said.get("generation_config")
    temperature = settings.get("temperature") if isinstance(settings, Mapping) else None
    if not config.any_temperature and not (isinstance(temperature, int | float) and temperature == 0):
        return "its temperature is not 0"
    if said.get("previous_response_id") or said.get("conversation") or said.get("background"):
        return "the provider has a part of it"
    return ""


def _without_breakpoints(value: Any) -> Any:
    """The same without what is said of caching."""
    if isinstance(value, dict):
        return {name: _without_breakpoints(item) for name, item in value.items() if name != "cache_control"}
    return [_without_breakpoints(item) for item in value] if isinstance(value, list) else value


def _take_text(shape: str, said: dict[str, Any]) -> str:
    """What the user said last, taken out of the request; "" where the last message is none of the user's."""
    given = said.get(LIST[shape])
    if isinstance(given, str):
        said[LIST[shape]] = ""
        return given
    last = given[-1] if isinstance(given, list) and given else None
    if not isinstance(last, dict) or last.get("role") not in ("user", None):
        return ""
    content = "parts" if shape == "gemini" else "content"
    if isinstance(last.get(content), str):
        text = str(last[content])
        last[content] = ""
        return text
    parts = [part for part in last.get(content) or () if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if not parts or any("tool_result" in str(part.get("type")) for part in last[content] if isinstance(part, dict)):
        return ""
    text = "\n".join(part["text"] for part in parts)
    for part in parts:
        part["text"] = ""
    return text


def _hash(tenant: str, url: str, said: Mapping[str, Any]) -> str:
    raw = orjson.dumps([tenant, url, said], option=orjson.OPT_SORT_KEYS)
    return sha256(raw).hexdigest()[:32]
