"""Who may ask the proxy itself: keys, the names it goes by, requests that a web page sends, and how many at once."""

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

KEY_VARIABLE = "HEADROOM_API_KEY"
"""Has what whoever asks has to show; not an option, for those can be read in the list of processes."""
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of a body that the API reads; providers take no larger request either."""
COOKIE = "headroom_session"
"""What a browser shows once it has shown the key; made from the key, and no way back to it."""
OPEN_PATHS = ("/health", "/livez", "/readyz")
"""What a load balancer asks without a key; nothing there is anybody's."""
PAGE_PATHS = ("/", "/dashboard")
"""Where a link from elsewhere may lead: the page, which is the same for everybody."""
LOGIN_PATH = "/dashboard/login"
"""Where a browser shows the key."""
RATE, BURST = 50.0, 200.0
"""Requests a second that one address may send to the API in the long run, and at once."""
ADDRESSES = 4096


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: an HTTP status, the error's type, and what is told."""

    status: int
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to the proxy itself. ``headers`` with lower-case names; ``host`` and ``port`` as the client wrote them
    in ``Host``."""

    method: str
    path: str
    host: str
    port: int
    headers: Mapping[str, str]

    @property
    def plain_path(self) -> str:
        return self.path.partition("?")[0]


def refusal(asked: Asked, key: str, names: Collection[str]) -> Refusal | None:
    """Why a request may not be answered; None when it may.

    ``key`` is what everybody has to show, or "" when nobody has to. ``names`` are those that the proxy goes by besides
    localhost and addresses: a name that anybody could let point here (DNS rebinding) is not one of them.
    """
    shown = has_key(asked.headers, key)
    if not shown and not is_own_name(asked.host, asked.port, names):
        return Refusal(
            421,
            "misdirected_request",
            f"this proxy does not go by the name {asked.host[:100]!r}; headroom_api_hosts can add it",
        )
    if _from_another_page(asked):
        return Refusal(403, "forbidden", "a web page of another origin may not ask this proxy")
    open_to_all = asked.plain_path in (*OPEN_PATHS, *PAGE_PATHS, LOGIN_PATH) or is_asset(asked.plain_path)
    if key and not shown and not open_to_all:
        return Refusal(
            401,
            "authentication_error",
            "a key is needed: Authorization: Bearer KEY, or x-headroom-api-key where that header is the provider's",
        )
    return None


def too_large(asked: Asked) -> Refusal | None:
    """Why the body that is announced is not read."""
    length = asked.headers.get("content-length", "0")
    if "chunked" in asked.headers.get("transfer-encoding", "").lower():
        return Refusal(411, "validation_error", "the body has no content-length")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return Refusal(413, "validation_error", f"the body has {length[:20]} bytes; at most {LARGEST_BODY:,} are read")
    return None


def has_key(headers: Mapping[str, str], key: str) -> bool:
    """Whether the key was shown; never when there is none. Takes equally long for every wrong one."""
    if not key:
        return False
    shown = [
        headers.get("x-headroom-api-key", ""),
        bearer(headers.get("authorization", "")),
    ]
    cookies = [part.strip().partition("=") for part in headers.get("cookie", "").split(";")]
    tokens = [value for name, _, value in cookies if name == COOKIE]
    right = [same(value, key) for value in shown]
    return any([*right, *(same(value, cookie_for(key)) for value in tokens)])


def bearer(authorization: str) -> str:
    """The token of an ``Authorization`` header."""
    return authorization.removeprefix("Bearer ").strip()


def has_proxy_key(value: str, key: str) -> bool:
    """Whether ``Proxy-Authorization`` shows the key: as a bearer, or as the password of any user."""
    from base64 import b64decode
    from binascii import Error

    kind, _, rest = value.strip().partition(" ")
    if kind.lower() == "bearer":
        return same(rest.strip(), key)
    if kind.lower() != "basic":
        return False
    try:
        pair = b64decode(rest, validate=True).decode("utf-8", "replace")
    except (Error, ValueError):
        return False
    return same(pair.partition(":")[2], key)


def same(shown: str, key: str) -> bool:
    """Whether both are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(sha256(shown.encode("utf-8", "replace")).digest(), sha256(key.encode()).digest())


def cookie_for(key: str) -> str:
    """The cookie of a browser that has shown the key."""
    return hmac.new(key.encode(), b"headroom dashboard", sha256).hexdigest()


def is_own_name(host: str, port: int, names: Collection[str]) -> bool:
    """Whether a ``Host`` names this proxy and nothing that only points here: localhost, an address, or one of names."""
    host = host.lower().strip("[]").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost") or host in names or f"{host}:{port}" in names:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_asset(path: str) -> bool:
    """Whether a path is a part of the page: the same for everybody."""
    return path.startswith("/dashboard/static/")


def _from_another_page(asked: Asked) -> bool:
    """Whether a browser sends it on behalf of a page that is not ours."""
    origin = asked.headers.get("origin")
    if origin is not None:
        try:
            at = urlsplit(origin)
            port = at.port or (443 if at.scheme == "https" else 80)
        except ValueError:
            return True
        return at.scheme not in ("http", "https") or (at.hostname, port) != (asked.host.strip("[]"), asked.port)
    if asked.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return not (asked.method == "GET" and asked.plain_path in PAGE_PATHS)
    return False


class Rate:
    """How many requests each address has sent: a bucket of BURST that fills with RATE a second."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Count a request; the seconds after which it may be sent again, 0 when it may go on."""
        now = time.monotonic()
        left, last = self._buckets.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - last) * self._rate)
        allowed = left >= 1
        self._buckets[address] = (left - 1 if allowed else left, now)
        while len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
