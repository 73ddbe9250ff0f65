"""Environment Variables."""

import json
import logging
import sys
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headroom import ConfigurationError, paths
from headroom.embedding import choice, embedder, minilm
from headroom.ledger import Ledger
from headroom.models import context_limit
from headroom.session.betas import SessionBetaTracker
from headroom.telemetry import Toin
from tests.contract.proxied import proxied
from tests.ledger.rows import exchange
from tests.support import bert

LIMITS = {"openai": {"context_limits": {"mine": 4321}}}
DERIVED = {
    paths.savings_path: "proxy_savings.json",
    paths.memory_path: "memory.db",
    paths.logs_dir: "logs",
    paths.toin_path: "toin.json",
    paths.subscription_state_path: "subscription_state.json",
    paths.session_stats_path: "session_stats.jsonl",
}


@pytest.fixture
def defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and no variable of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HEADROOM_WORKSPACE_DIR", "HEADROOM_CONFIG_DIR"):
        monkeypatch.delenv(name)
    return tmp_path


def test_headroom_model_limits_is_a_json_string_or_a_file_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
    for value in (json.dumps(LIMITS), str(tmp_path / "limits.json")):
        monkeypatch.setenv("HEADROOM_MODEL_LIMITS", value)
        assert context_limit("openai", "mine") == 4321


def test_headroom_model_limits_has_no_default() -> None:
    assert context_limit("openai", "mine") == 128_000  # as of any model that nobody knows


def test_headroom_config_dir_is_the_root_of_models_json_and_per_plugin_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_CONFIG_DIR", "/config")
    assert paths.models_path() == Path("/config/models.json")
    assert paths.plugin_config_dir("mine") == Path("/config/plugins/mine")


def test_headroom_config_dir_is_home_headroom_config_by_default(defaults: Path) -> None:
    assert paths.config_dir() == defaults / ".headroom" / "config"


def test_headroom_workspace_dir_is_the_root_of_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    for path, name in DERIVED.items():
        assert path() == Path("/work") / name


def test_headroom_workspace_dir_is_home_headroom_by_default(defaults: Path) -> None:
    assert paths.workspace_dir() == defaults / ".headroom"


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("HEADROOM_SAVINGS_PATH", paths.savings_path),
        ("HEADROOM_TOIN_PATH", paths.toin_path),
        ("HEADROOM_SUBSCRIPTION_STATE_PATH", paths.subscription_state_path),
    ],
)
def test_a_full_path_always_wins_when_set_and_is_else_derived_from_the_workspace(
    variable: str, path: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert path().parent == Path("/work")
    monkeypatch.setenv(variable, "/own/place.json")
    assert path() == Path("/own/place.json")


def test_headroom_savings_path_is_where_the_proxys_savings_ledger_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADROOM_SAVINGS_PATH", str(tmp_path / "own" / "money.json"))
    ledger = Ledger(paths.ledger_path(), paths.savings_path())
    ledger.record(exchange())
    ledger.close()
    assert json.loads((tmp_path / "own" / "money.json").read_text())["lifetime"]["requests"] == 1


def test_headroom_toin_path_is_where_toin_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADROOM_TOIN_PATH", str(tmp_path / "own" / "learned.json"))
    toin = Toin()
    toin.record_compression("look_up", 10, 5, 100, 50, "smart_crusher")
    toin.save()
    toin.close()
    assert json.loads((tmp_path / "own" / "learned.json").read_text())


# --- HEADROOM_EMBEDDER_RUNTIME


class Model:
    """Stands for sentence_transformers.SentenceTransformer."""

    def __init__(self, name: str, device: str, local_files_only: bool) -> None:
        assert (device, local_files_only) == ("mps", True)

    def get_sentence_embedding_dimension(self) -> int:
        return 2

    def encode(self, texts: list[str], **options: Any) -> Any:
        return np.array([[1.0, 0.0]] * len(texts))


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A machine with torch on an Apple GPU, and the default embedder's model."""
    found = SimpleNamespace(is_available=lambda: True)
    torch, transformers = ModuleType("torch"), ModuleType("sentence_transformers")
    torch.backends = SimpleNamespace(mps=found)  # type: ignore[attr-defined]
    transformers.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "sentence_transformers", transformers)
    monkeypatch.setattr(choice, "_found", {})
    bert.make(tmp_path / "minilm")
    monkeypatch.setattr(minilm, "find", lambda: tmp_path / "minilm")
    return found


def test_headroom_embedder_runtime_pytorch_mps_runs_the_memory_embedder_on_the_apple_gpu(
    mps: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", "pytorch_mps")
    found = embedder()
    assert found is not None and found.name == "minilm on pytorch_mps" and found.embed(["a", "b"]).shape == (2, 2)


def test_it_engages_only_where_apple_mps_is_available_and_else_warns_and_uses_the_default(
    mps: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", "pytorch_mps")
    mps.is_available = lambda: False
    with caplog.at_level(logging.WARNING):
        found = embedder()
    assert found is not None and found.name == "minilm"
    assert "HEADROOM_EMBEDDER_RUNTIME is pytorch_mps, but this machine has no Apple GPU" in caplog.text


def test_pytorch_mps_is_the_only_accepted_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", "cuda")
    with pytest.raises(ConfigurationError, match="HEADROOM_EMBEDDER_RUNTIME is 'cuda'; allowed: pytorch_mps"):
        embedder()


def test_it_requires_the_extra_pytorch_mps(
    mps: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert any("sentence-transformers" in line and "pytorch-mps" in line for line in requires("headroom-ai") or ())
    monkeypatch.setenv("HEADROOM_EMBEDDER_RUNTIME", "pytorch_mps")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    found = embedder()
    assert found is not None and found.name == "minilm"
    assert "pip install headroom-ai[pytorch-mps]" in caplog.text


def test_the_default_is_the_default_embedder_selection(mps: SimpleNamespace) -> None:
    found = embedder()
    assert found is not None and found.name == "minilm"


# --- beta headers


async def test_headroom_beta_header_sticky_enabled_is_the_default_and_unions_tokens_within_a_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with proxied() as proxy:
        await proxy.betas({"anthropic-beta": "one-2025"})
        assert await proxy.betas({}) == "one-2025"
        monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "enabled")
        assert await proxy.betas({}) == "one-2025"


async def test_headroom_beta_header_sticky_disabled_forwards_the_clients_value_verbatim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "disabled")
    async with proxied() as proxy:
        await proxy.betas({"anthropic-beta": "one-2025"})
        assert await proxy.betas({"anthropic-beta": "two-2025"}) == "two-2025"


async def test_any_other_value_of_headroom_beta_header_sticky_raises_at_request_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "always")
    async with proxied() as proxy:
        flow = await proxy.send({"anthropic-beta": "one-2025"})
    assert flow.response is not None and flow.response.status_code == 400
    assert "HEADROOM_BETA_HEADER_STICKY is 'always'; allowed: enabled | disabled" in (flow.response.text or "")


def test_headroom_beta_tracker_max_sessions_is_a_capacity_of_which_the_oldest_session_is_evicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADROOM_BETA_TRACKER_MAX_SESSIONS", "2")
    tracker = SessionBetaTracker()
    for session in ("first", "second", "first", "third"):
        tracker.merge("anthropic", session, [session])
    assert tracker.merge("anthropic", "first", []) == "first"
    assert tracker.merge("anthropic", "second", []) is None


def test_headroom_beta_tracker_max_sessions_is_1000_by_default() -> None:
    tracker = SessionBetaTracker()
    for number in range(1001):
        tracker.merge("anthropic", f"session {number}", ["one-2025"])
    assert tracker.merge("anthropic", "session 0", []) is None
    assert tracker.merge("anthropic", "session 1", []) == "one-2025"
