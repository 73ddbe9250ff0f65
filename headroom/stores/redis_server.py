"""Redis: the connection, and scripts that run whole or not at all."""

from typing import TYPE_CHECKING, Any

from headroom.errors import ConfigurationError
from headroom.stores.remote import Remote, answer_seconds, driver, shown

if TYPE_CHECKING:
    import redis

PREFIX = "headroom:"
"""What all our keys begin with."""


class RedisServer(Remote["redis.Redis"]):
    """A Redis at redis://, rediss:// (TLS) or unix://."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._patience = answer_seconds()
        self._redis = driver("redis")
        try:
            self._client()
        except ValueError as error:
            raise ConfigurationError(
                f"headroom_store is {shown(url)!r}: {error}", {"setting": "headroom_store", "value": shown(url)}
            ) from None

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        return (self._redis.exceptions.RedisError, OSError)

    def connect(self) -> "redis.Redis":
        client = self._client()
        client.ping()
        return client

    def disconnect(self, connection: "redis.Redis") -> None:
        connection.close()

    def script(self, source: str, *arguments: str | bytes | float) -> Any:
        """What a Lua script returns; ``ARGV`` are the arguments. Raises StorageError."""
        return self.call(lambda client: client.register_script(source)(args=list(arguments)))

    def _was_cut(self, error: Exception) -> bool:
        # A timeout may be the answer of a server that is alive and busy: nobody waits for a second one.
        return isinstance(error, self._redis.exceptions.ConnectionError | OSError) and not isinstance(
            error, self._redis.exceptions.TimeoutError
        )

    def _client(self) -> "redis.Redis":
        client: redis.Redis = self._redis.Redis.from_url(
            self._url,
            socket_timeout=self._patience,
            socket_connect_timeout=self._patience,
            retry=self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0),
            client_name="headroom",
        )
        return client
