"""Where the statements of the document are tried: a stand-in for the providers that the SDKs find by their variables,
a folder of the test's own for temporary files, and no process but this one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import Answer
from tests.support.standin import StandIn

SAID = "All parts are there."


@pytest.fixture(scope="session")
def _standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("provider"), lambda shape, body: Answer(SAID)) as running:
        yield running
    assert running.failures == []


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, for this test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def provider(_standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """All three providers, where ``OpenAI()`` and the other SDKs' clients look for them."""
    url = f"https://localhost:{_standin.port}"
    monkeypatch.setenv("SSL_CERT_FILE", str(_standin.certificate))
    for name, base in (("OPENAI", f"{url}/v1"), ("ANTHROPIC", url)):
        monkeypatch.setenv(f"{name}_API_KEY", "test")
        monkeypatch.setenv(f"{name}_BASE_URL", base)
    monkeypatch.setenv("GEMINI_API_KEY", "test")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)
    _standin.received.clear()
    return _standin
