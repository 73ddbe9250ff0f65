"""Who is talking: which session a request belongs to, which project, which client."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

_CLIENTS = {
    "claude-cli": "claude-code", "claude-code": "claude-code",
    "codex_exec": "codex", "codex_cli_rs": "codex", "codex_vscode": "codex", "codex-tui": "codex",
    "geminicli": "gemini-cli", "google-genai-sdk": "google-genai",
}  # fmt: skip
_is_plain = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?").fullmatch
_is_uuid = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I).fullmatch
_session_in = re.compile(r"_session_([\w-]{1,128})$", re.A).search
_product = re.compile(r"(?:Async(?=[A-Z]))?([A-Za-z][\w.+-]{0,39})", re.A).match
# One block of the system prompt, or the first line of all of them joined, with or without a newline between them.
_billing_line = re.compile(r"\s*x-anthropic-billing-header:(?:[ \t]*[\w-]+=[^;\n]*(?:;|(?=\n)|$))*[ \t]*\n*").match


@dataclass(frozen=True, slots=True)
class Identity:
    """``session`` is a name that holds no content, ``project`` what the user called it or None.

    ``client`` is claude-code, codex, gemini-cli, the name of another program or SDK, or unknown.
    """

    session: str
    project: str | None
    client: str


def identify(
    headers: Mapping[str, str],
    provider: str,
    system: str | None = None,
    first_user: str | None = None,
    user_id: str | None = None,
    prompt_cache_key: str | None = None,
    continued: str | None = None,
) -> Identity:
    """Who sent a request with these ``headers`` (lower-case names).

    The rest says what the body has, None where it has nothing: the text of the system prompt, the text of the first
    user message, Anthropic's ``metadata.user_id``, OpenAI's ``prompt_cache_key``; ``continued`` is the session of the
    answer that it goes on from. What names no session itself is told from others by how it begins.
    """
    session = (
        _name(headers.get("x-headroom-session-id"))
        or _name(headers.get("x-claude-code-session-id"))
        or _session_of(user_id)
        or _name(headers.get("session-id"))
        or _name(headers.get("session_id"))
    )
    if not session and prompt_cache_key and _is_uuid(prompt_cache_key):
        session = prompt_cache_key  # Codex's; others share one key among all their users, and it only tells them apart
    session = session or continued
    if not session:
        session = _hash(provider, without_billing_line(system or ""), first_user or "", prompt_cache_key or "")
    return Identity(session, _name(headers.get("x-headroom-project")), client_of(headers))


def client_of(headers: Mapping[str, str]) -> str:
    """The program that sent a request, as its headers (lower-case names) tell: a short name in lower case."""
    if "x-claude-code-session-id" in headers:
        return "claude-code"
    if headers.get("originator", "").lower().startswith("codex"):
        return "codex"
    product = _product(headers.get("user-agent", ""))
    name = product[1].lower() if product else ""
    if name in _CLIENTS:
        return _CLIENTS[name]
    language = headers.get("x-stainless-lang", "").lower()  # the SDKs that Stainless makes for OpenAI and Anthropic
    if name and language.isalpha() and len(language) <= 16:
        return f"{name}-{language}"
    return name or "unknown"


def without_billing_line(system: str) -> str:
    """``system`` without the line that Claude Code puts first and that is another one in every request.

    It is a statement to the provider, which takes it out before caching: it says nothing about the session.
    """
    found = _billing_line(system)
    return system[found.end() :] if found else system


def lower_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` with lower-case names."""
    return {name.lower(): value for name, value in headers.items()}


def _session_of(user_id: str | None) -> str | None:
    """The session in Claude Code's ``metadata.user_id``: JSON, or ``..._session_<uuid>`` before 2.1.78."""
    if not user_id:
        return None
    if user_id.lstrip().startswith("{"):
        try:
            value = json.loads(user_id)
        except (ValueError, RecursionError):
            return None
        found = value.get("session_id") if isinstance(value, dict) else None
        return _name(found) if isinstance(found, str) else None
    match = _session_in(user_id)
    return match[1] if match else None


def _name(value: str | None) -> str | None:
    """A name that somebody gave, fit for a log and a ledger; its hash when it is not."""
    value = (value or "").strip()
    if not value:
        return None
    return value if _is_plain(value) else _hash(value)


def _hash(*parts: str) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8))
        digest.update(raw)
    return digest.hexdigest()
