"""Plugins: the example as a user would install it, and ones that do what no plugin should."""

import itertools
import json
import logging
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom import paths, plugins
from headroom.ccr.originals import open_originals, original_of
from headroom.cli import checks
from headroom.compression import compress
from headroom.errors import ConfigurationError
from headroom.session.memory import Decision
from headroom.session.shared import open_memory
from headroom.stores.remote import store_url
from headroom.tokenizers import count
from headroom.transforms.base import Compressed, Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten
from tests.cli.conftest import Place, place  # noqa: F401
from tests.support.proxy import ROOT

ZEROS = "0000 " * 8 + " ................"
DUMP = "".join(f"{16 * i:08x}: {ZEROS if 4 <= i < 90 else f'{i:04x} ' * 8 + ' ........abcdefgh'}\n" for i in range(100))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built and unpacked as pip does it."""
    folder = tmp_path_factory.mktemp("example")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT / "examples" / "plugin", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    plugins.transforms.cache_clear()
    yield
    plugins.transforms.cache_clear()
    for name in [name for name in sys.modules if name.startswith("headroom_example")]:
        del sys.modules[name]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts functions in the place of installed plugins, each by its name."""

    def plug(**transforms: Any) -> None:
        guarded = tuple(plugins.guarded(name, transform) for name, transform in transforms.items())
        monkeypatch.setattr(plugins, "transforms", lambda: guarded)

    return plug


def shorter(text: str, tool: str = "mcp__reader__get") -> tuple[str, dict[str, int]]:
    found = shorten(text, count(text), LineIndex(), "", Context(tool))
    return (text, {}) if found is None else (found.text, found.saved)


PLAIN = "\n".join(f"The {word} of the {other} is not told here." for word, other in itertools.product("abcdefg", "xyz"))
"""A text of which our own transforms make nothing."""


def test_without_plugins_nothing_is_added(plugged: Callable[..., None]) -> None:
    plugged()
    assert shorter(PLAIN) == (PLAIN, {})


@pytest.mark.usefixtures("installed")
def test_the_examples_transform_is_used_where_it_makes_a_text_shorter() -> None:
    text, saved = shorter(DUMP)
    assert text.count("\n*\n") == 1 and "plugin:hexdump" in saved
    assert text.startswith(DUMP[: DUMP.index("00000050")])
    assert shorter(PLAIN) == (PLAIN, {})
    call = {"id": "call_1", "type": "function", "function": {"name": "dump", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": DUMP},
    ]
    assert "plugin:hexdump" in compress(messages, "gpt-4o").transforms_applied


@pytest.mark.usefixtures("installed")
def test_what_an_edit_may_quote_is_no_plugins_business() -> None:
    text, saved = shorter(DUMP, "Read")
    assert "plugin:hexdump" not in saved and "*" not in text.splitlines()


@pytest.mark.usefixtures("installed")
def test_its_setting_is_in_its_own_folder() -> None:
    folder = paths.plugin_config_dir("hexdump")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("least_lines = 1000\n")
    assert "plugin:hexdump" not in shorter(DUMP)[1]


@pytest.mark.usefixtures("installed")
def test_plugins_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, used in (("off", 0), ("another", 0), ("another, hexdump", 1), ("", 1)):
        monkeypatch.setenv(plugins.VARIABLE, said)
        plugins.transforms.cache_clear()
        assert len(plugins.transforms()) == used
    monkeypatch.setenv(plugins.VARIABLE, "hexdump")
    with pytest.raises(ConfigurationError, match="begins with 'folder'"):
        store_url("folder:///srv")


def test_the_command_lists_them_and_pipelines_use_them(site: Path, place: Place) -> None:  # noqa: F811
    assert place.headroom("plugins").stdout.startswith("no plugin is installed")
    place.environment["PYTHONPATH"] = str(site)
    listed = {one["name"]: one for one in json.loads(place.headroom("plugins", "--json").stdout)}
    assert listed["hexdump"]["used"] and listed["folder"]["used"] and listed["hexdump"]["package"] == "headroom-example"
    assert listed["hexdump"]["config"] == str(place.workspace / "config" / "plugins" / "hexdump")
    assert "\n*\n" in place.headroom("compress", said=DUMP).stdout


@pytest.mark.usefixtures("installed")
def test_two_proxies_share_what_they_know_in_the_examples_store(tmp_path: Path) -> None:
    url = f"folder://{tmp_path}/shared"
    assert store_url(url) == url
    one, other = open_originals(url), open_originals(url)
    kept = original_of("a text that was left out", "session", "Bash", "./run")
    one.keep([kept])
    assert (found := other.get(kept.hash)) is not None and found.text == kept.text
    here, there = open_memory(url, tmp_path / "here.db"), open_memory(url, tmp_path / "there.db")
    first = Decision(b"k" * 16, "short", 100, 10, {"repeats": 90})
    assert here.remember([first])
    assert not there.remember([Decision(b"k" * 16, "another", 100, 10, {"repeats": 90})])
    assert there.find([first.key]) == {first.key: [first]}
    for opened in (one, other, here, there):
        opened.close()
    with pytest.raises(ConfigurationError, match="expected folder:///an/absolute/path"):
        open_originals("folder://host/path")


NUMBERS = itertools.count()


def raises(text: str, _: Context) -> Compressed:
    raise RuntimeError(text)


def counts_up(text: str, _: Context) -> Compressed:
    return Compressed(f"{next(NUMBERS)}", "counts")


BAD: dict[str, Any] = {
    "raises": raises,
    "another_each_time": counts_up,
    "no_compressed": lambda text, context: "short",
    "no_text": lambda text, context: Compressed(None, "x"),  # type: ignore[arg-type]
    "longer": lambda text, context: Compressed(text + " and more", "x"),
    "the_same": lambda text, context: Compressed(text, "x"),
    "leaves_out": lambda text, context: Compressed("gone", "x", lossless=False),
    "writes_into_the_call": lambda text, context: context.arguments.clear(),
    "recurses": lambda text, context: BAD["recurses"](text, context),
}


@pytest.mark.parametrize("name", BAD)
def test_a_plugin_that_does_what_none_should_leaves_the_text_as_it_is(
    name: str, plugged: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plugged(bad=BAD[name], good=lambda text, context: Compressed(text[:40], "anything") if "40" in text else None)
    with caplog.at_level(logging.WARNING, "headroom"):
        assert shorter(PLAIN) == (PLAIN, {})
        assert shorter(PLAIN) == (PLAIN, {})
    assert caplog.text.count("the plugin bad failed") == (name not in ("longer", "the_same", "leaves_out"))
    assert "is not told here" not in caplog.text  # what was in the text is in no log
    text, saved = shorter(PLAIN + " 40")  # the others still work, and none bears another's name
    assert text == (PLAIN + " 40")[:40] and list(saved) == ["plugin:good"]


def test_one_that_cannot_be_loaded_is_red_in_doctor_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[headroom.transforms]\nmissing = no_such_module:compress\n[headroom.stores]\nnowhere = no_such_module:STORE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.transforms.cache_clear()
    try:
        assert plugins.transforms() == ()
    finally:
        plugins.transforms.cache_clear()
    found = {finding.check: finding for finding in dict(checks.all_checks(None, 8787))["plugins"]()}
    assert "No module named 'no_such_module'" in found["plugin missing"].found
    assert "HEADROOM_PLUGINS=off" in found["plugin nowhere"].remedy
    with pytest.raises(ConfigurationError, match="needs the plugin nowhere of the package broken"):
        store_url("nowhere://x")
