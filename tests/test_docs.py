"""The documentation: every Python snippet runs, every public name has its place in the reference."""

import contextlib
import io
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import headroom
from tests.support.answers import Answer
from tests.support.standin import StandIn

DOCS = Path(__file__).parent.parent / "docs"
SNIPPET = re.compile(r"^([ \t]*)```python\n(.*?)^\1```$", re.M | re.S)
SAID = "The last one."


def snippets(page: Path) -> list[str]:
    return [textwrap.dedent(found[2]) for found in SNIPPET.finditer(page.read_text(encoding="utf-8"))]


PAGES = [page for page in (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))) if snippets(page)]


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """All three providers, at a place that the SDKs find by their variables."""
    with StandIn(tmp_path, lambda shape, body: Answer(SAID)) as running:
        url = f"https://localhost:{running.port}"
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        for name, base in (("OPENAI", f"{url}/v1"), ("ANTHROPIC", url), ("GEMINI", url)):
            monkeypatch.setenv(f"{name}_API_KEY", "test")
            monkeypatch.setenv(f"{name}_BASE_URL", base)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", url)
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        yield running
    assert running.failures == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_snippets_of_a_page_run_one_after_the_other(
    page: Path, provider: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "litellm" in page.read_text(encoding="utf-8"):
        import litellm

        monkeypatch.setattr(litellm, "callbacks", [])
    names: dict[str, object] = {"__name__": "snippet"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, code in enumerate(snippets(page)):
            exec(compile(code, f"{page.name}, snippet {number + 1}", "exec"), names)
    for name in ("client", "cache"):
        close = getattr(names.get(name), "close", None)
        if callable(close):
            close()
    if page.stem in ("index", "sdk"):
        assert SAID in printed.getvalue()
    if page.stem == "sdk":
        assert {received.shape for received in provider.received} == {
            "anthropic",
            "openai-chat",
            "openai-responses",
            "gemini",
        }


def test_the_first_look_shows_what_it_says() -> None:
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(snippets(DOCS / "index.md")[0], names)
    before, after = map(int, printed.getvalue().splitlines()[0].split(" -> "))
    assert 0 < after < before / 2


def test_every_public_name_is_in_the_reference() -> None:
    reference = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
    modules = set(re.findall(r"^::: (\S+)", reference, re.M))
    for name in set(headroom.__all__) - {"__version__"}:
        home = f"{getattr(headroom, name).__module__}"
        assert home in modules or f"headroom.{name}" in modules or f"{home}.{name}" in modules, name
