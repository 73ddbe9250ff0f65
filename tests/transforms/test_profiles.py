"""Each tool has a profile, and who uses it may choose another."""

import pytest

from headroom.errors import ConfigurationError
from headroom.transforms import profiles
from headroom.transforms.profiles import Profile, may_leave_out, profile


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("Read", "lossless"),
        ("Bash", "lossless"),
        ("exec_command", "lossless"),
        ("run_shell_command", "lossless"),
        ("WebFetch", "normal"),
        ("google_web_search", "normal"),
        ("TodoWrite", "skip"),
        ("update_plan", "skip"),
        ("headroom_retrieve", "skip"),
        ("mcp__headroom__headroom_retrieve", "skip"),
        ("mcp__fetch__fetch", "normal"),
        ("mcp__github__get_file", "lossless"),
        ("", "lossless"),
    ],
)
def test_defaults(tool: str, expected: str) -> None:
    assert profile(tool, {}) == Profile(expected)


def test_overrides_win_the_most_exact_first() -> None:
    overrides = {"mcp__*": "normal", "mcp__github__*": "skip", "MCP__github__diff": "lossless", "bash": "Normal"}
    assert profile("mcp__slack__read", overrides) == "normal"
    assert profile("mcp__github__get_file", overrides) == "skip"
    assert profile("mcp__github__diff", overrides) == "lossless"
    assert profile("Bash", overrides) == "normal"
    assert profile("Read", overrides) == "lossless"


def test_a_value_that_is_no_profile_is_refused_by_name() -> None:
    with pytest.raises(
        ConfigurationError, match="'Bash' is 'lossy'; expected one of skip, lossless, normal, outline"
    ) as caught:
        profile("Bash", {"Bash": "lossy"})
    assert caught.value.details["setting"] == "tool_profiles.Bash"


def test_outlines_are_left_out_like_anything_else_only_where_the_level_allows_it() -> None:
    assert [may_leave_out("Read", {"Read": "outline"}, level) for level in ("safe", "balanced", "max")] == [0, 1, 1]


def test_outlines_need_tree_sitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "_can_outline", lambda: False)
    with pytest.raises(
        ConfigurationError, match=r"'view' is 'outline', which needs tree-sitter: pip install .headroom-ai"
    ):
        profile("view", {"view": "outline"})
