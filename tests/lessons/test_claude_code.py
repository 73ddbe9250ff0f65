"""What has gone wrong elsewhere with the line that Claude Code puts first in its system prompt."""

import json

import pytest

from tests.support.answers import Answer
from tests.support.coding import REFERENCE, Coding, results
from tests.support.stage import MESSAGES, Stage


def line(check: str) -> str:
    return f"x-anthropic-billing-header: cc_version=2.1.3.f2a; cc_entrypoint=cli; cch={check};"


def system(check: str, words: str = "You are Claude Code.") -> list[dict[str, object]]:
    return [{"type": "text", "text": line(check)}, {"type": "text", "text": words}]


@pytest.mark.parametrize("with_id", [True, False], ids=["with a session id", "without"])
def test_the_billing_line_changes_with_every_request(on: Stage, with_id: bool) -> None:
    """anthropics/claude-code #68900, ccproxy-api #61: a checksum of the body that other proxies took for content. It
    is left as it is, and says nothing of the session: decisions and betas stay."""
    session = Coding(f"billing-line-{with_id}")
    rows, turns = [], []
    for turn, check in enumerate(("00000", "a1b2c", "fffff")):
        session.fields["system"] = system(check, f"You are Claude Code. {with_id}")
        headers = session.headers if with_id else {"x-api-key": "k"}
        betas = {"anthropic-beta": "one-2025"} if turn == 0 else {}
        rows.append(on.row(on.send(session.read().body, {**headers, **betas})))
        assert on.received.json["system"] == session.fields["system"]
        assert line(check).encode() in on.received.body
        assert on.received.header("anthropic-beta") == "one-2025"
        turns.append(results(on.received.body))
    assert len({row.session for row in rows}) == 1
    assert turns[0].items() <= turns[1].items() <= turns[2].items() and REFERENCE in turns[2]["toolu_3"]


def test_a_provider_that_checks_the_line_refuses_our_body(on: Stage) -> None:
    """If that ever happens, the session goes on unrewritten, and the user is told."""

    def strict(shape: str, body: dict[str, object]) -> Answer:
        return Answer("cch does not match", status=400) if REFERENCE in json.dumps(body) else Answer("Done.")

    on.provider.script = strict
    session = Coding(system=system("abcde")).read().read()
    assert on.row(on.send(session)).outcome == "resent"
    assert on.received.body == session.body
    on.send(session.read())
    assert on.received.body == session.body
    assert "left alone from now on" in on.logged(session.session)


def test_other_providers_lose_their_cache_over_the_line(on: Stage) -> None:
    """#61: for compatible providers of other makers it is taken out where the user wants that; never for Anthropic."""
    session = Coding(system=system("12345")).read().read()
    for option, url, expected in (
        (False, "https://compatible.test/v1/messages", True),
        (True, "https://compatible.test/v1/messages", False),
        (True, MESSAGES, True),
    ):
        on.control("options", headroom_drop_billing_line=option)
        try:
            on.send(session, url=url)
        finally:
            on.control("options", headroom_drop_billing_line=False)
        assert (b"x-anthropic-billing-header" in on.received.body) is expected
        assert REFERENCE in results(on.received.body)["toolu_2"]
        assert "You are Claude Code." in json.dumps(on.received.json["system"])
