"""Real tools, run on the small projects in ``projects``: each function gives what one of them prints."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PLAIN = {
    "NO_COLOR": "1",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "COLUMNS": "80",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "RUST_BACKTRACE": "1",
    "CARGO_NET_OFFLINE": "true",
}
_STAMP = 1_715_000_000  # seconds since 1970 that listed files are dated


@dataclass(frozen=True, slots=True)
class Run:
    """A command, run where ``prepare`` has laid out its project; it needs the program ``needs``."""

    needs: str
    prepare: Callable[[Path], Path]
    command: str


def unpack(name: str, folder: Path) -> Path:
    """A project of ``projects`` as files: ``=== path`` begins each."""
    root = folder / name
    for part in f"\n{(HERE / 'projects' / f'{name}.txt').read_text()}".split("\n=== ")[1:]:
        path, _, text = part.partition("\n")
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.rstrip("\n") + "\n" if text else "")
    return root


def said(folder: Path, command: str, environment: dict[str, str] | None = None, programs: Sequence[Path] = ()) -> str:
    """What a command prints, on both channels, whatever it exits with; ``programs`` are folders looked in first."""
    own = (*programs, Path(sys.executable).parent, folder / "node_modules" / ".bin")
    path = os.pathsep.join((*map(str, own), os.environ["PATH"]))
    return subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=os.environ | PLAIN | {"PATH": path} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    ).stdout


def scrubbed(text: str, folder: Path) -> str:
    """Without what tells of this machine, its paths and its user."""
    for path, name in ((sys.prefix, "/home/dev/.venv"), (str(folder), "/home/dev"), (str(Path.home()), "/home/dev")):
        text = text.replace(path, name)
    text = re.sub(r"pytest-of-\w+/pytest-\d+", "pytest-of-dev/pytest-0", text)
    text = re.sub(r"(?m)^([-dl][-rwx]{9}\s+\d+ )\S+( +)\S+ ", r"\1dev\2dev ", text)
    return re.sub(r"(?m)^npm (?:warn Unknown|error) .*\n", "", text)


def project(name: str) -> Callable[[Path], Path]:
    """Lays out a project of ``projects``."""
    return lambda folder: unpack(name, folder)


def javascript(folder: Path) -> Path:
    """The JavaScript project; its packages are installed once for all."""
    root = folder / "javascript"
    if not root.exists():
        said(unpack("javascript", folder), "npm install --no-audit --no-fund")
        for path in (root, *root.rglob("*")):
            os.utime(path, (_STAMP, _STAMP), follow_symlinks=False)
        odd = root / "node_modules" / "@jest" / "core" / "build" / "runJest.js"
        odd.chmod(0o600)
        os.utime(odd, (_STAMP + 8_000_000, _STAMP + 8_000_000))
    return root


def wrong_version(folder: Path) -> Path:
    """The same with one package that package.json asks for in another version."""
    root, wrong = javascript(folder), folder / "wrong"
    if not wrong.exists():
        wrong.mkdir()
        (wrong / "node_modules").symlink_to(root / "node_modules")
        package = (root / "package.json").read_text().replace('"typescript": "5.9.3"', '"typescript": "5.4.5"')
        (wrong / "package.json").write_text(package)
    return wrong


_SHIPMENTS = """
create table shipment
    (id integer, placed text, customer text, city text, carrier text, grams integer, status text, cents integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 120)
insert into shipment select 52000 + i * 7, date('2024-04-01', (i / 6) || ' days'), 'C' || (1000 + i * 37 % 90),
    case i % 5 when 0 then 'Utrecht' when 1 then 'Ghent' when 2 then 'Malmo' when 3 then 'Bergen' else 'Lausanne' end,
    case when i % 3 then 'PostNord' else 'DHL' end, 200 + i * 131 % 4000, 'delivered', 695 + i % 3 * 200 from n;
update shipment set status = 'lost in transit' where id = 52238;
update shipment set grams = 99999999 where id = 52448;
update shipment set cents = -695, status = 'refunded' where id = 52700;
"""


def shipments(folder: Path) -> Path:
    """A database with a table of 120 shipments, three of them odd."""
    root = folder / "shipments"
    if not root.exists():
        root.mkdir()
        said(root, shlex.join(("sqlite3", "shop.db", _SHIPMENTS)))
    return root


def repaired(folder: Path) -> Path:
    """The repository below with the Python project's faults repaired, and a new lock file."""
    root = history(folder)
    for name, pairs in _EDITS.items():
        text = (root / name).read_text()
        for before, after in pairs:
            if before not in text:
                raise ValueError(f"{name} has no {before!r}")
            text = text.replace(before, after)
        (root / name).write_text(text)
    (root / "poetry.lock").write_text(_lock(2))
    return root


_EDITS = {
    "shop/money.py": [
        ("ROUND_HALF_EVEN", "ROUND_HALF_UP"),
        ("import os\n", ""),
        ('"SEK": Decimal("11.2437")', '"SEK": Decimal("11.6102")'),
    ],
    "shop/stock.py": [
        ("datetime.datetime.utcnow()", "datetime.datetime.now(datetime.UTC)"),
        (
            "        left, taken = pieces, []\n",
            "        if self.total(article) < pieces:\n"
            '            raise OutOfStock(f"{pieces} pieces of {article} are missing")\n'
            "        left, taken = pieces, []\n",
        ),
    ],
    "shop/orders.py": [
        ('line["pieces"] = pieces', 'line["pieces"] += pieces'),
        ("except Exception as error:", "except OutOfStock as error:"),
        ("import re\n", ""),
        ("shop.stock import Stock", "shop.stock import OutOfStock, Stock"),
    ],
    "worker.py": [("range(1, 61)", "range(1, 101)"), ('"Utrecht", 100', '"Utrecht", 400')],
    "tests/test_money.py": [('["1", "19.99", "250.00", "1e3"]', '["1", "19.99", "250.00", "1e3", "0.005"]')],
}


def history(folder: Path) -> Path:
    """A repository of 42 commits by two people on the Python project and a lock file."""
    root = unpack("python", folder / "history")
    shutil.rmtree(root / ".git", ignore_errors=True)
    said(root, "git init -q -b main")
    acts = ("Round", "Check", "Log", "Rename", "Simplify", "Document", "Test", "Speed up")
    areas = ("money", "stock", "orders", "worker", "tests")
    cases = ("at the edges", "when empty", "for large orders")
    (root / "poetry.lock").write_text(_lock(1))
    for number in range(42):
        (root / "CHANGES").write_text("".join(f"- change {n}\n" for n in range(number + 1)))
        subject = f"{acts[number % 8]} {areas[number % 5]} {cases[number % 3]}"
        body = ""
        if number == 17:
            subject = 'Revert "Speed up stock when empty"'
            body = "It booked pieces twice: see the incident of 2024-04-05."
        elif number == 29:
            body = "Closes: SHOP-2291\nCo-authored-by: Lin Dao <lin@example.org>"
        elif number % 4 == 0:
            body = f"What was done before took {number + 3} ms for each order;\nnow it takes {1 + number % 3}."
        _commit(root, number, f"{subject}\n\n{body}" if body else subject)
    return root


def _commit(root: Path, number: int, message: str) -> None:
    name, email = ("Mirelle Haddad", "mirelle@example.org") if number % 5 else ("Tomas Bauer", "tomas@example.org")
    date = f"2024-04-{1 + number // 3:02d}T{9 + number % 3 * 3:02d}:{number * 7 % 60:02d}:00+02:00"
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
    }
    said(root, "git add -A", who)
    said(root, shlex.join(("git", "-c", "commit.gpgsign=false", "commit", "-q", "--no-verify", "-m", message)), who)


def _lock(release: int) -> str:
    """A lock file as poetry writes it."""
    parts = []
    for number, name in enumerate(
        ("attrs", "click", "httpx", "idna", "jinja2", "numpy", "orjson", "pydantic", "redis")
    ):
        version = f"{release}.{number}.0"
        hashes = [f"{(number * 7919 + n * 104729 + release) ** 9:064x}" for n in range(4)]
        wheels = [f'file = "{name}-{version}-{n}.whl", hash = "sha256:{one}"' for n, one in enumerate(hashes)]
        files = "".join(f"    {{{wheel}}},\n" for wheel in wheels)
        parts.append(f'[[package]]\nname = "{name}"\nversion = "{version}"\nfiles = [\n{files}]\n')
    return "\n".join(parts)


def numbered(path: Path) -> str:
    """A file as Claude Code's Read shows it."""
    return "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(path.read_text().splitlines(), 1))


RUN = {
    "pytest.txt": Run("python3", project("python"), "python -m pytest -v -rs"),
    "ruff.txt": Run("python3", project("python"), "ruff check ."),
    "python-worker.txt": Run("python3", project("python"), "python worker.py"),
    "grep.txt": Run("grep", project("python"), "grep -rnE 'stock|order|Money' --include=*.py ."),
    "cargo-test.txt": Run("cargo", project("rust"), "cargo test"),
    "cargo-build.txt": Run("cargo", project("rust"), "cargo build --features broken"),
    "make.txt": Run("gcc", project("c"), "make -k"),
    "go-test.txt": Run("go", project("go"), "go test -v ./..."),
    "java.txt": Run("java", project("java"), "java Bookings.java"),
    "jest.txt": Run("npm", javascript, "npm test"),
    "eslint.txt": Run("npm", javascript, "npx eslint src"),
    "tsc.txt": Run("npm", javascript, "npx tsc --noEmit --pretty false"),
    "npm-ls.json": Run("npm", wrong_version, "npm ls --json --depth=3"),
    "ls.txt": Run("npm", javascript, "ls -laR node_modules/@jest"),
    "find.txt": Run("npm", javascript, "find node_modules/eslint/lib -name '*.js'"),
    "tree.txt": Run("tree", javascript, "tree node_modules/@jest"),
    "git-log.txt": Run("git", history, "git log"),
    "git-diff.txt": Run("git", repaired, "git diff"),
    "sqlite-table.txt": Run("sqlite3", shipments, 'sqlite3 -table shop.db "select * from shipment"'),
    "sqlite-json.json": Run("sqlite3", shipments, 'sqlite3 -json shop.db "select * from shipment"'),
}
"""The outputs that tools give, and how."""
