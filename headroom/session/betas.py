"""Beta headers that stay: a token that a client sent once in a session is sent for the rest of it.

The header is part of what the provider's prefix cache is keyed by, and clients drop tokens between turns.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b, md5

from headroom.errors import ConfigurationError, StorageError
from headroom.latest import put
from headroom.session.identity import without_billing_line
from headroom.stores.lists import Item, Lists

STICKY = "HEADROOM_BETA_HEADER_STICKY"
MAX_SESSIONS = "HEADROOM_BETA_TRACKER_MAX_SESSIONS"
_DEFAULT_MAX_SESSIONS = 1000
_HEADERS = {"anthropic": "anthropic-beta", "openai-chat": "openai-beta", "openai-responses": "openai-beta"}


def beta_header(shape: str) -> str | None:
    """The header that carries beta tokens in requests of this shape; None when it knows none."""
    return _HEADERS.get(shape)


def beta_session_key(headers: Mapping[str, str], model: str, system_prompt: str) -> str:
    """The session that beta tokens are kept for: ``x-headroom-session-id`` (``headers`` have lower-case names), else
    a hash of the model and of how the system prompt begins, the same for all turns of a conversation."""
    given = headers.get("x-headroom-session-id", "").strip()
    if given:
        return given
    text = model + without_billing_line(system_prompt)[:500]
    return md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16]


class SessionBetaTracker:
    """The beta tokens of each session and provider, in memory. Thread-safe.

    Keeps ``max_sessions`` of them, by default HEADROOM_BETA_TRACKER_MAX_SESSIONS or 1000; the longest unused goes
    first. Raises ConfigurationError when that is not a number above 0.
    """

    def __init__(self, max_sessions: int | None = None, lists: Lists | None = None) -> None:
        """With ``lists`` what other proxies have sent counts too, as far as ``share`` has learned of it."""
        self._lists = lists
        self._max_sessions = sessions_kept() if max_sessions is None else max_sessions
        self._sessions: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def merge(self, provider: str, session_key: str, header_values: Sequence[str]) -> str | None:
        """What to send instead of ``header_values``, the header's lines in a request; None: they stay as they are.

        Tokens are compared without case; the first spelling and the order in which they were first seen stay.
        Raises ConfigurationError when HEADROOM_BETA_HEADER_STICKY is neither enabled nor disabled.
        """
        if not is_sticky():
            return None
        sent = _tokens(header_values)
        with self._lock:
            known = self._sessions.get((provider, session_key))
            if known is None:
                if not sent:
                    return None
                known = self._sessions[provider, session_key] = {}
                if len(self._sessions) > self._max_sessions:
                    self._sessions.popitem(last=False)
            else:
                self._sessions.move_to_end((provider, session_key))
            for name, token in sent.items():
                known.setdefault(name, token)
            tokens = list(known.values())
        return None if tokens == list(sent.values()) else ",".join(tokens)

    def share(self, provider: str, session_key: str, header_values: Sequence[str]) -> None:
        """Tell other proxies what a request sends and take in what they have sent; a round trip, two where a token is
        new. While the store is away this proxy goes on by what it knows."""
        if self._lists is None or not is_sticky():
            return
        key = blake2b(f"betas\0{provider}\0{session_key}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with self._lock:
            known = dict(self._sessions.get((provider, session_key), {}))
        for name, token in _tokens(header_values).items():
            known.setdefault(name, token)
        try:
            items = self._lists.find([key]).get(key, [])
            there = {item.variant for item in items}
            new = [item for name, token in known.items() if (item := _item(key, name, token)).variant not in there]
            if new:
                items = self._lists.add(new)[key]
        except StorageError:
            return
        if not items:
            return
        shared = _tokens([item.data.decode("utf-8", "replace") for item in items])
        with self._lock:
            put(self._sessions, (provider, session_key), shared, self._max_sessions)

    def close(self) -> None:
        """Let go of the connection."""
        if self._lists is not None:
            self._lists.close()


def union(earlier: str, value: str) -> str:
    """The tokens of a header's ``value`` behind those that were sent ``earlier``, each once."""
    return ",".join(_tokens((earlier, value)).values())


def is_sticky() -> bool:
    """Whether tokens stay, by HEADROOM_BETA_HEADER_STICKY. Raises ConfigurationError when it is neither enabled nor
    disabled."""
    value = os.environ.get(STICKY, "enabled")
    match value.strip().lower():
        case "enabled":
            return True
        case "disabled":
            return False
    raise _wrong(STICKY, value, "enabled | disabled")


def sessions_kept() -> int:
    """HEADROOM_BETA_TRACKER_MAX_SESSIONS, or 1000. Raises ConfigurationError when it is not a whole number above 0."""
    value = os.environ.get(MAX_SESSIONS, str(_DEFAULT_MAX_SESSIONS))
    if not value.strip().isdecimal() or int(value) < 1:
        raise _wrong(MAX_SESSIONS, value, "a whole number above 0")
    return int(value)


def _tokens(values: Sequence[str]) -> dict[str, str]:
    """The tokens in a header's lines, under what they are compared by."""
    tokens: dict[str, str] = {}
    for value in values:
        for token in value.split(","):
            if token := token.strip():
                tokens.setdefault(token.lower(), token)
    return tokens


def _item(key: bytes, name: str, token: str) -> Item:
    variant = blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
    return Item(key, variant, token.encode("utf-8", "replace"))


def _wrong(setting: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting} is {value!r}; allowed: {allowed}", {"setting": setting, "value": value, "allowed": allowed}
    )
