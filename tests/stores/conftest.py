"""The servers that the stores are tested with: real ones, started when the first test needs one."""

from collections.abc import Iterator

import pytest

from headroom.session import memory
from tests.support.servers import (
    PostgresProcess,
    RedisProcess,
    postgres_programs,
    postgres_server,
    redis_program,
    redis_server,
)

PATIENCE = {"HEADROOM_STORE_TIMEOUT": "30"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no server that hangs."""
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(memory, "BUSY_SECONDS", 30.0)


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisProcess]:
    if redis_program() is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[PostgresProcess]:
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgres_server() as server:
        yield server


@pytest.fixture
def redis_url(redis_process: RedisProcess) -> str:
    """An empty Redis."""
    import redis

    with redis.Redis(port=redis_process.port) as client:
        client.flushall()
    return redis_process.url


@pytest.fixture
def postgres_url(postgres_process: PostgresProcess) -> str:
    """An empty PostgreSQL."""
    import psycopg

    with psycopg.connect(postgres_process.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_process.url


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of each kind; "" is the embedded one."""
    if request.param == "sqlite":
        return ""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
