"""Fetching the model from a hub on loopback that breaks off, lies and changes its mind."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from headroom.cli.main import headroom
from headroom.errors import ConfigurationError, ProviderError
from headroom.kompress import download as module
from headroom.kompress import published
from headroom.kompress.backends import onnx
from headroom.kompress.download import download
from headroom.kompress.words import open_words
from tests.support import modernbert

COMMIT = "89abcdef0123"


@dataclass
class Hub:
    """``files`` as the repository has them; ``breaks`` cuts the next answers after so many bytes."""

    files: dict[str, bytes]
    breaks: list[int] = field(default_factory=list)
    lies: bool = False
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    modernbert.make(tmp_path / "made", pytorch=True)
    files = {str(f.relative_to(tmp_path / "made")): f.read_bytes() for f in (tmp_path / "made").rglob("*.*")}
    hub = Hub(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            hub.asked.append((self.path, self.headers.get("Range", "")))
            assert "Authorization" not in self.headers
            if self.path.startswith("/api/"):
                if "/chopratejas/kompress-v2-base/" not in self.path:
                    self.send_error(404)
                    return
                return self.answer(json.dumps({"sha": COMMIT, "siblings": [*map(said, hub.files)]}).encode())
            repository, _, name = self.path.partition(f"/resolve/{COMMIT}/")
            if repository == "/moved":
                return self.answer(hub.files[name])
            self.send_response(302)  # the real one redirects too
            self.send_header("Location", f"/moved/resolve/{COMMIT}/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None

        def answer(self, data: bytes) -> None:
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges else 0
            data = data[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not self.path.startswith("/api/") and hub.breaks:
                self.wfile.write(data[: hub.breaks.pop(0)])
                self.close_connection = True
                return
            self.wfile.write(data)

    def said(name: str) -> dict[str, object]:
        data = hub.files[name]
        if name.endswith((".onnx", ".safetensors")):
            digest = hashlib.sha256(data if not hub.lies else b"another").hexdigest()
            return {"rfilename": name, "size": len(data), "lfs": {"sha256": digest, "size": len(data)}}
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"rfilename": name, "size": len(data), "blobId": blob}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    server.shutdown()
    server.server_close()


def fetch(progress: module.Progress = lambda *_: None) -> Path:
    folder, _ = download(published.REPOSITORY, "main", published.COMPANIONS, onnx.FILES, progress)
    return folder


def test_the_fetched_model_is_found_and_runs(hub: Hub) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = fetch(lambda *said: seen.append(said))
    assert published.find() == folder
    assert open_words(folder).shorter(modernbert.TEXT)[1] > 0
    fetched = {path.partition(f"/resolve/{COMMIT}/")[2] for path, _ in hub.asked} - {""}
    assert fetched == {"tokenizer.json", "config.json", "onnx/kompress-int8-wo.onnx"}  # the first of the three
    size = len(hub.files["onnx/kompress-int8-wo.onnx"])
    assert ("onnx/kompress-int8-wo.onnx", 0, size) in seen and ("onnx/kompress-int8-wo.onnx", size, size) in seen


def test_it_lies_in_the_cache_as_the_hubs_own_client_has_it(hub: Hub) -> None:
    from huggingface_hub import try_to_load_from_cache

    folder = fetch()
    found = try_to_load_from_cache(published.REPOSITORY, "tokenizer.json", cache_dir=published.hub_cache())
    assert found == str(folder / "tokenizer.json")
    assert (folder / "tokenizer.json").read_bytes() == hub.files["tokenizer.json"]


def test_the_next_file_is_taken_where_the_first_is_not_published(hub: Hub) -> None:
    del hub.files["onnx/kompress-int8-wo.onnx"]
    assert (fetch() / "onnx/kompress-fp32.onnx").is_file()


def test_what_is_here_is_not_fetched_again(hub: Hub) -> None:
    fetch()
    hub.asked.clear()
    fetch()
    assert [path for path, _ in hub.asked if "/resolve/" in path] == []


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(hub: Hub) -> None:
    hub.breaks = [10_000, 5_000]  # the first file that comes is the tokenizer
    folder = fetch()
    starts = [asked for path, asked in hub.asked if path.startswith("/moved") and path.endswith("tokenizer.json")]
    assert starts == ["", "bytes=10000-", "bytes=15000-"]
    assert (folder / "tokenizer.json").read_bytes() == hub.files["tokenizer.json"]


def test_the_next_command_goes_on_where_the_last_one_gave_up(hub: Hub) -> None:
    hub.breaks = [10_000, 0, 0, 0, 0]
    with pytest.raises(ProviderError, match=r"tokenizer\.json broke off.*goes on where it stopped"):
        fetch()
    assert published.find() is None
    hub.asked.clear()
    folder = fetch()
    assert ("bytes=10000-") in [asked for _, asked in hub.asked]
    assert (folder / "tokenizer.json").read_bytes() == hub.files["tokenizer.json"]


def test_a_hub_that_can_not_go_on_starts_again(hub: Hub) -> None:
    hub.breaks, hub.ranges = [10_000], False
    assert (fetch() / "tokenizer.json").read_bytes() == hub.files["tokenizer.json"]


def test_what_is_not_what_its_checksum_says_is_thrown_away(hub: Hub) -> None:
    hub.lies = True
    with pytest.raises(ProviderError, match=r"int8-wo\.onnx is not what its checksum"):
        fetch()
    assert published.find() is None
    assert not list(published.hub_cache().rglob("*.part"))
    hub.lies = False
    assert published.find() is None and fetch() == published.find()


def test_a_damaged_file_in_the_cache_is_fetched_again(hub: Hub) -> None:
    folder = fetch()
    damaged = (folder / "onnx/kompress-int8-wo.onnx").resolve()
    damaged.write_bytes(bytes(len(damaged.read_bytes())))
    fetch()
    assert damaged.read_bytes() == hub.files["onnx/kompress-int8-wo.onnx"]


def test_a_hub_that_names_files_outside_its_folder_is_refused(hub: Hub) -> None:
    hub.files["../../evil.json"] = b"{}"
    with pytest.raises(ProviderError, match="can't be read"):
        fetch()


def test_a_revision_that_is_not_there_is_said(hub: Hub) -> None:
    with pytest.raises(ProviderError, match="answers 404 for nobody/nothing@main"):
        download("nobody/nothing", "main", (), onnx.FILES, lambda *_: None)


def test_without_a_hub_the_error_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="can't be reached"):
        fetch()
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(ConfigurationError, match="HF_ENDPOINT is 'file:///etc'"):
        fetch()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="HF_HUB_OFFLINE"):
        fetch()
    assert hub.asked == []


def test_the_command_shows_a_bar_and_says_where_the_model_is(hub: Hub) -> None:
    assert '"present": false' in CliRunner().invoke(headroom, ["models", "--json"]).output
    result = CliRunner().invoke(headroom, ["models", "download", "kompress"])
    assert result.exit_code == 0
    assert "onnx/kompress-int8-wo.onnx" in result.stderr and "100%" not in result.stdout
    assert str(published.find()) in result.stdout
    (shown,) = json.loads(CliRunner().invoke(headroom, ["models", "--json"]).output)[:1]
    assert shown["present"] and shown["runs_on"] == "onnx/cpu" and shown["bytes"] > 100_000
    assert "kompress-v2-base" in CliRunner().invoke(headroom, ["models"]).output


def test_pytorchs_weights_are_fetched_where_asked_for(hub: Hub) -> None:
    result = CliRunner().invoke(headroom, ["models", "download", "kompress", "--pytorch"])
    assert result.exit_code == 0 and "model.safetensors" in result.stdout


def test_no_request_leaves_unless_the_user_asked(hub: Hub) -> None:
    from headroom.kompress.words import words_model

    words_model()
    CliRunner().invoke(headroom, ["models"])
    assert hub.asked == []
