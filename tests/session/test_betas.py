"""A beta token that was sent once in a session is sent for the rest of it."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.errors import ConfigurationError
from headroom.session.betas import SessionBetaTracker, beta_header, beta_session_key


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADROOM_BETA_HEADER_STICKY", raising=False)
    monkeypatch.delenv("HEADROOM_BETA_TRACKER_MAX_SESSIONS", raising=False)


def test_a_token_that_the_client_drops_is_sent_again() -> None:
    tracker = SessionBetaTracker()
    assert tracker.merge("anthropic", "s", ["claude-code-20250219, context-1m-2025-08-07"]) is None
    assert tracker.merge("anthropic", "s", ["claude-code-20250219"]) == "claude-code-20250219,context-1m-2025-08-07"
    assert tracker.merge("anthropic", "s", []) == "claude-code-20250219,context-1m-2025-08-07"


def test_a_new_token_comes_last_and_stays() -> None:
    tracker = SessionBetaTracker()
    tracker.merge("anthropic", "s", ["a,b"])
    assert tracker.merge("anthropic", "s", ["c,a"]) == "a,b,c"
    assert tracker.merge("anthropic", "s", ["a,b,c"]) is None


def test_the_header_may_have_several_lines() -> None:
    tracker = SessionBetaTracker()
    assert tracker.merge("anthropic", "s", ["a, b", "c"]) is None
    assert tracker.merge("anthropic", "s", ["a", " b ,c"]) is None
    assert tracker.merge("anthropic", "s", ["a", "c"]) == "a,b,c"


def test_the_first_spelling_and_the_first_order_stay() -> None:
    tracker = SessionBetaTracker()
    tracker.merge("openai", "s", ["Responses=Experimental,b"])
    assert tracker.merge("openai", "s", ["b,responses=experimental"]) == "Responses=Experimental,b"


def test_empty_tokens_and_repeated_ones_are_nothing_new() -> None:
    tracker = SessionBetaTracker()
    assert tracker.merge("anthropic", "s", ["a,,A, ", ""]) is None
    assert tracker.merge("anthropic", "s", [" ,"]) == "a"


def test_a_client_without_betas_gets_none() -> None:
    assert SessionBetaTracker().merge("anthropic", "s", []) is None


def test_sessions_and_providers_are_kept_apart() -> None:
    tracker = SessionBetaTracker()
    tracker.merge("anthropic", "s", ["a"])
    assert tracker.merge("anthropic", "t", ["b"]) is None
    assert tracker.merge("openai", "s", ["c"]) is None
    assert tracker.merge("anthropic", "s", ["d"]) == "a,d"


def test_the_session_that_was_unused_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BETA_TRACKER_MAX_SESSIONS", "2")
    tracker = SessionBetaTracker()
    tracker.merge("anthropic", "first", ["a"])
    tracker.merge("anthropic", "second", ["b"])
    tracker.merge("anthropic", "first", ["a"])
    tracker.merge("anthropic", "third", ["c"])
    assert tracker.merge("anthropic", "first", []) == "a"
    assert tracker.merge("anthropic", "second", []) is None


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5"])
def test_a_wrong_number_of_sessions_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BETA_TRACKER_MAX_SESSIONS", value)
    with pytest.raises(ConfigurationError, match="HEADROOM_BETA_TRACKER_MAX_SESSIONS"):
        SessionBetaTracker()


def test_disabled_leaves_the_header_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = SessionBetaTracker()
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "disabled")
    assert tracker.merge("anthropic", "s", ["a"]) is None
    assert tracker.merge("anthropic", "s", []) is None
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "enabled")
    assert tracker.merge("anthropic", "s", []) is None  # nothing was remembered meanwhile


@pytest.mark.parametrize("value", ["", "yes", "1", "off"])
def test_any_other_setting_raises_when_a_request_is_handled(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", value)
    tracker = SessionBetaTracker()
    with pytest.raises(ConfigurationError) as raised:
        tracker.merge("anthropic", "s", ["a"])
    assert raised.value.message == f"HEADROOM_BETA_HEADER_STICKY is {value!r}; allowed: enabled | disabled"


def test_many_threads_lose_no_token() -> None:
    tracker = SessionBetaTracker()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: tracker.merge("anthropic", "s", [f"t{i}"]), range(400)))
    merged = tracker.merge("anthropic", "s", [])
    assert merged is not None
    assert set(merged.split(",")) == {f"t{i}" for i in range(400)}


tokens = st.text("abcABC-1=", min_size=1, max_size=4)


@given(turns=st.lists(st.lists(tokens, max_size=5), min_size=1, max_size=6))
def test_what_is_sent_only_grows_and_keeps_its_beginning(turns: list[list[str]]) -> None:
    tracker, sent_before = SessionBetaTracker(10), ""
    for turn in turns:
        value = tracker.merge("anthropic", "s", turn)
        sent = ",".join(dict.fromkeys(turn)) if value is None else value
        names = [token.lower() for token in sent.split(",") if token]
        assert {token.lower() for token in turn} <= set(names)
        if value is not None:
            assert len(names) == len(set(names))
            assert value.startswith(sent_before)
            sent_before = value


def test_a_session_is_known_by_its_header_else_by_model_and_system_prompt() -> None:
    system = "You are a coding agent. " * 50
    expected = md5(("claude-opus-4-6" + system[:500]).encode()).hexdigest()[:16]
    assert beta_session_key({"x-headroom-session-id": "mine"}, "claude-opus-4-6", system) == "mine"
    assert beta_session_key({}, "claude-opus-4-6", system) == expected
    assert beta_session_key({}, "claude-opus-4-6", system[:500] + "changed later") == expected
    assert beta_session_key({}, "claude-haiku-4-5", system) != expected


def test_the_billing_line_of_claude_code_is_no_part_of_the_key() -> None:
    line = "x-anthropic-billing-header: cc_version=2.1.197.01c; cc_entrypoint=sdk-cli; cch={};"
    keys = {beta_session_key({}, "m", line.format(cch) + "\nYou are Claude Code.") for cch in ("36ee5", "0aaa9")}
    assert keys == {beta_session_key({}, "m", "You are Claude Code.")}


def test_each_shape_has_its_header() -> None:
    assert [beta_header(shape) for shape in ("anthropic", "openai-chat", "openai-responses", "gemini")] == [
        "anthropic-beta",
        "openai-beta",
        "openai-beta",
        None,
    ]
