"""Validation."""

from pathlib import Path

import pytest
from openai import OpenAI

from headroom import HeadroomClient, OpenAIProvider, paths
from tests.support.standin import StandIn


def test_validate_setup_says_that_a_configuration_is_valid(provider: StandIn) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider()) as client:
        result = client.validate_setup()
    assert result["valid"] is True and result["issues"] == []
    assert {"provider", "storage", "config", "cache_optimizer"} <= set(result)
    assert provider.received == [], "nothing is sent"


def test_validate_setup_lists_the_issues_of_one_that_is_not(
    provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider()) as client:
        paths.config_dir().mkdir(parents=True)
        (paths.config_dir() / "config.toml").write_text("default_mod = 'audit'\n")
        result = client.validate_setup()
    assert result["valid"] is False
    (issue,) = result["issues"]
    assert isinstance(issue, str) and "default_mod is no setting; did you mean default_mode?" in issue
    assert result["config"]["ok"] is False and result["provider"]["ok"] is True
