"""Whose request it is: the session, the project and the client, from headers and body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.session.identity import client_of, identify, lower_headers, without_billing_line
from headroom.wire.facts import first_user_text
from headroom.wire.shapes import read

UUID = "0195a1c2-7b3d-4e5f-8a9b-0c1d2e3f4a5b"
OTHER = "1195a1c2-7b3d-4e5f-8a9b-0c1d2e3f4a5b"
JSON_USER = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": UUID})
OLD_USER = f"user_{'0' * 64}_account_{OTHER}_session_{UUID}"


@pytest.mark.parametrize(
    ("headers", "user_id", "prompt_cache_key"),
    [
        ({"x-headroom-session-id": UUID, "x-claude-code-session-id": OTHER}, None, None),
        ({"x-claude-code-session-id": UUID, "session-id": OTHER}, OLD_USER.replace(UUID, OTHER), None),
        ({"session-id": OTHER}, JSON_USER, None),
        ({}, OLD_USER, OTHER),
        ({"session-id": UUID}, None, OTHER),
        ({"session_id": UUID}, None, OTHER),
        ({}, None, UUID),
        ({}, "user-1234", UUID),
    ],
    ids=["ours", "claude code", "user id, JSON", "user id, older", "codex", "codex, older", "cache key", "a user"],
)
def test_the_surest_name_of_a_session_counts(
    headers: dict[str, str], user_id: str | None, prompt_cache_key: str | None
) -> None:
    found = identify(headers, "anthropic", "system", "hello", user_id, prompt_cache_key)
    assert found.session == UUID


def test_a_session_without_a_name_is_known_by_how_it_begins() -> None:
    session = identify({}, "gemini", "You are an agent.", "Fix the bug.").session
    assert session == identify({"user-agent": "x"}, "gemini", "You are an agent.", "Fix the bug.").session
    others = [
        identify({}, "openai", "You are an agent.", "Fix the bug."),
        identify({}, "gemini", "You are another.", "Fix the bug."),
        identify({}, "gemini", "You are an agent.", "Fix another bug."),
        identify({}, "gemini", "You are an agent.Fix the bug.", ""),
        identify({}, "gemini", "You are an agent.", "Fix the bug.", None, "support-bot"),
        identify({}, "gemini"),
    ]
    assert len({session, *(other.session for other in others)}) == 7


@pytest.mark.parametrize(("shape", "turns"), [("openai-chat", "messages"), ("openai-responses", "input")])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_what_the_system_says_is_not_what_the_user_says_first(shape: str, turns: str, role: str) -> None:
    said = [{"role": role, "content": "You are an agent."}, {"role": "user", "content": "Fix the bug."}]
    assert first_user_text(read(shape, json.dumps({turns: said}).encode())) == "Fix the bug."
    assert first_user_text(read(shape, json.dumps({turns: said[:1]}).encode())) is None


def test_a_cache_key_that_many_share_is_not_a_session() -> None:
    sessions = {identify({}, "openai", "s", first, None, "support-bot").session for first in ("a", "b")}
    assert len(sessions) == 2


def test_a_derived_session_shows_nothing_of_the_content() -> None:
    session = identify({}, "gemini", "secret system", "secret question").session
    assert len(session) == 32
    assert set(session) <= set("0123456789abcdef")


@pytest.mark.parametrize("user_id", ["{", "[]", '{"session_id": 5}', '{"session_id": ""}', "{" * 100_000, "_session_"])
def test_a_user_id_that_names_no_session_is_passed_over(user_id: str) -> None:
    assert identify({}, "anthropic", "s", "u", user_id).session == identify({}, "anthropic", "s", "u").session


def test_a_session_name_that_is_unfit_for_a_log_is_hashed() -> None:
    for value in ("a\nb", "x" * 1000, "päron"):
        session = identify({"x-headroom-session-id": value}, "anthropic").session
        assert len(session) == 32
        assert value not in session
    assert identify({"x-headroom-session-id": "  my session 1 "}, "anthropic").session == "my session 1"


BILLING = "x-anthropic-billing-header: cc_version=2.1.197.7d1; cc_entrypoint=cli; cch={};"


@pytest.mark.parametrize("between", ["", "\n", "\n\n"], ids=["joined", "a line", "a paragraph"])
def test_the_billing_line_that_changes_with_every_request_does_not_change_the_session(between: str) -> None:
    sessions = {
        identify({}, "anthropic", f"{BILLING.format(cch)}{between}You are Claude Code.", "hi").session
        for cch in ("36ee5", "0aaa9", "00000")
    }
    assert sessions == {identify({}, "anthropic", "You are Claude Code.", "hi").session}


@pytest.mark.parametrize(
    ("system", "rest"),
    [
        ("x-anthropic-billing-header: cc_version=2.1.177; cc_entrypoint=sdk-cli;", ""),
        ("x-anthropic-billing-header: cc_version=2.1.177; cch=ab123\nRules: a=b;", "Rules: a=b;"),
        ("You explain x-anthropic-billing-header: cch=1;", "You explain x-anthropic-billing-header: cch=1;"),
        ("", ""),
    ],
)
def test_only_the_billing_line_itself_is_taken_out(system: str, rest: str) -> None:
    assert without_billing_line(system) == rest


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"user-agent": "claude-cli/2.1.197 (external, sdk-cli)", "x-stainless-lang": "js"}, "claude-code"),
        ({"user-agent": "node", "x-claude-code-session-id": UUID}, "claude-code"),
        ({"user-agent": "codex_exec/0.169.0 (Debian 12; x86_64)", "originator": "codex_exec"}, "codex"),
        ({"user-agent": "Mozilla/5.0", "originator": "Codex Desktop"}, "codex"),
        ({"user-agent": "codex_cli_rs/0.149.0"}, "codex"),
        ({"user-agent": "GeminiCLI/0.61.0/gemini-2.5-pro (linux; x64; terminal)"}, "gemini-cli"),
        ({"user-agent": "AsyncOpenAI/Python 2.8.0", "x-stainless-lang": "python"}, "openai-python"),
        ({"user-agent": "Anthropic/JS 0.70.0", "x-stainless-lang": "js"}, "anthropic-js"),
        ({"user-agent": "google-genai-sdk/1.40.0 gl-python/3.13"}, "google-genai"),
        ({"user-agent": "opencode/1.0"}, "opencode"),
        ({"user-agent": "python-httpx/0.28.1"}, "python-httpx"),
        ({"user-agent": "Asynchronous/1"}, "asynchronous"),
        ({"user-agent": "\x00\x01"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_clients_are_known_by_their_headers(headers: dict[str, str], client: str) -> None:
    assert client_of(headers) == client
    assert identify(headers, "anthropic").client == client


def test_a_project_is_what_the_user_called_it() -> None:
    assert identify({"x-headroom-project": " web shop "}, "anthropic").project == "web shop"
    assert identify({}, "anthropic").project is None
    assert identify({"x-headroom-project": " "}, "anthropic").project is None


def test_header_names_are_made_lower_case() -> None:
    assert lower_headers({"X-Headroom-Session-Id": "A"}) == {"x-headroom-session-id": "A"}


@given(text=st.text() | st.just("\ud83d"), headers=st.dictionaries(st.just("user-agent"), st.text()))
def test_any_text_is_borne(text: str, headers: dict[str, str]) -> None:
    found = identify(headers, text, text, text, text, text)
    assert found == identify(headers, text, text, text, text, text)
    assert found.session.isprintable()
