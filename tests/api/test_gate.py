"""Who may ask the proxy itself."""

from base64 import b64encode

import pytest

from headroom.api import gate
from headroom.api.gate import Asked

KEY = "a-key-of-ours"


def asked(path: str = "/stats", method: str = "GET", host: str = "localhost", **headers: str) -> Asked:
    return Asked(method, path, host, 8787, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "[::1]", "10.1.2.3", "a.localhost"])
def test_localhost_and_addresses_are_its_names(host: str) -> None:
    assert gate.refusal(asked(host=host), "", ()) is None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
def test_a_name_that_only_points_here_is_refused(host: str) -> None:
    refused = gate.refusal(asked(host=host), "", ("proxy.internal",))
    assert refused is not None and refused.status == 421


def test_names_that_were_given_are_its_own_with_their_port() -> None:
    assert gate.refusal(asked(host="Proxy.Internal"), "", ("proxy.internal",)) is None
    assert gate.refusal(asked(host="proxy.internal"), "", ("proxy.internal:8787",)) is None
    assert gate.refusal(asked(host="proxy.internal"), "", ("proxy.internal:80",)) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:3000",
        "https://localhost:8787.evil.example",
        "http://[",
        "file://",
    ],
)
def test_a_web_page_of_another_origin_is_refused(origin: str) -> None:
    refused = gate.refusal(asked("/v1/compress", "POST", origin=origin), "", ())
    assert refused is not None and refused.status == 403


def test_the_dashboards_own_requests_are_let_in() -> None:
    assert gate.refusal(asked(origin="http://localhost:8787", sec_fetch_site="same-origin"), "", ()) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_that_hides_its_origin_is_refused_but_a_link_leads_to_the_page(site: str) -> None:
    refused = gate.refusal(asked("/stats", sec_fetch_site=site), "", ())
    assert refused is not None and refused.status == 403
    assert gate.refusal(asked("/dashboard", sec_fetch_site=site), "", ()) is None
    assert gate.refusal(asked("/dashboard", "POST", sec_fetch_site=site), "", ()) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"x_headroom_api_key": KEY},
        {"cookie": f"a=b; {gate.COOKIE}={gate.cookie_for(KEY)}"},
    ],
)
def test_whoever_shows_the_key_is_let_in_under_any_name(headers: dict[str, str]) -> None:
    assert gate.refusal(asked(**headers), KEY, ()) is None
    assert gate.refusal(asked(host="proxy.example", **headers), KEY, ()) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": ""},
        {"x_headroom_api_key": KEY + "x"},
        {"cookie": f"{gate.COOKIE}={KEY}"},
        {"x_headroom_api_key": "ключ"},
    ],
)
def test_without_the_key_only_health_and_the_page_are_answered(headers: dict[str, str]) -> None:
    for path in ("/stats", "/v1/messages", "/sessions/1", "/dashboard/staticfoo"):
        refused = gate.refusal(asked(path, **headers), KEY, ())
        assert refused is not None and refused.status == 401, path
    for path in ("/health", "/livez", "/readyz", "/dashboard", "/dashboard/static/app.js", "/dashboard/login"):
        assert gate.refusal(asked(path, **headers), KEY, ()) is None, path


def test_no_key_is_shown_where_there_is_none() -> None:
    assert not gate.has_key({"authorization": "Bearer "}, "")
    assert not gate.has_key({}, "")


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (f"Bearer {KEY}", True),
        (f"Basic {b64encode(f'me:{KEY}'.encode()).decode()}", True),
        (f"Basic {b64encode(KEY.encode()).decode()}", False),
        (f"Basic {b64encode(b'me:wrong').decode()}", False),
        ("Basic ***", False),
        ("", False),
    ],
)
def test_a_proxys_client_shows_the_key_as_its_password(value: str, right: bool) -> None:
    assert gate.has_proxy_key(value, KEY) is right


def test_a_body_without_a_length_or_with_a_great_one_is_not_read() -> None:
    assert gate.too_large(asked(content_length="10")) is None
    assert gate.too_large(asked()) is None
    assert gate.too_large(asked(content_length=str(gate.LARGEST_BODY + 1))).status == 413  # type: ignore[union-attr]
    assert gate.too_large(asked(content_length="-1")).status == 413  # type: ignore[union-attr]
    assert gate.too_large(asked(transfer_encoding="chunked")).status == 411  # type: ignore[union-attr]


def test_an_address_that_asks_too_often_has_to_wait_and_others_do_not() -> None:
    rate = gate.Rate(rate=10.0, burst=3)
    waits = [rate.wait("10.0.0.1") for _ in range(5)]
    assert waits[:3] == [0, 0, 0] and 0 < waits[3] <= 0.1 and 0 < waits[4] <= 0.1
    assert rate.wait("10.0.0.2") == 0
