"""A real Redis and a real PostgreSQL on a free loopback port, with a folder of their own, stopped at the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.proxy import free_port

PATIENCE = 30.0


def redis_program() -> str | None:
    """Where redis-server is; None when it is not installed (Debian: apt-get install redis-server)."""
    return shutil.which("redis-server")


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres, newest first; None when there is none (Debian: postgresql)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    alone = shutil.which("initdb")
    return Path(alone).resolve().parent if alone else None


class RedisProcess:
    """A Redis that writes down every command; ``restart`` starts it anew with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = redis_program()
        assert program is not None
        self.process = subprocess.Popen(
            [
                *(program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        import redis

        end = time.monotonic() + PATIENCE
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if time.monotonic() > end or self.process.poll() is not None:
                        raise
                    time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        _stop(self.process, how)

    def restart(self) -> None:
        self.stop()
        self.start()


class PostgresProcess:
    """A PostgreSQL cluster of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://headroom@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None
        programs = postgres_programs()
        assert programs is not None
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if self._user:
            shutil.chown(folder, self._user)
            folder.chmod(0o700)
        self._run("initdb", "-D", str(folder / "data"), "-U", "headroom", "-A", "trust", "--no-sync", "-E", "UTF8")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C"},
        )

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)),
                *("-h", "127.0.0.1", "-k", "", "-c", "max_connections=30", "-c", "shared_buffers=32MB"),
            ],
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C"},
        )
        import psycopg

        end = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.Error:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        _stop(self.process, how)

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def redis_server() -> Iterator[RedisProcess]:
    """A Redis, stopped and removed at the end."""
    with _folder("headroom-redis-") as folder:
        server = RedisProcess(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def postgres_server() -> Iterator[PostgresProcess]:
    """A PostgreSQL, stopped and removed at the end."""
    with _folder("headroom-postgres-") as folder:
        server = PostgresProcess(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    """In the system's own temporary folder: those of pytest can't be entered by another user."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None:
        return
    process.send_signal(how)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
        return
    process.kill()
    process.wait()
