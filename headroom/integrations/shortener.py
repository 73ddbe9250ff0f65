"""What the frameworks' parts have in common: ``compress()`` at a place where nothing may go wrong."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from headroom.compression import PROVIDERS, compress
from headroom.config import HeadroomConfig, at_least
from headroom.errors import HeadroomError, without_message
from headroom.messages import shape_of
from headroom.models import context_limit
from headroom.settings import load_config

log = logging.getLogger("headroom")


class Shortener:
    """Makes lists of messages shorter, and leaves them alone when that fails. Any thread may use it.

    ``config`` and ``overrides`` are as for ``compress``; ``model_limit``: tokens that fit, by default as is known of
    each model. Raises ConfigurationError for a wrong setting.
    """

    def __init__(self, config: HeadroomConfig | None = None, model_limit: int | None = None, **overrides: Any) -> None:
        self.config = load_config(config, **overrides)
        if model_limit is not None:
            at_least("model_limit", model_limit, 1)
        self._limit = model_limit
        self._stats = {"requests_total": 0, "requests_optimized": 0, "tokens_saved_total": 0}
        self._lock = threading.Lock()

    def get_stats(self) -> dict[str, int]:
        """Since it was made: ``requests_total``, ``requests_optimized`` and ``tokens_saved_total`` (estimates)."""
        with self._lock:
            return dict(self._stats)

    def shorter(self, messages: object, model: str) -> list[Any] | None:
        """The messages in fewer tokens, and None where they stay as they are."""
        if not isinstance(messages, list) or not messages or not all(isinstance(each, Mapping) for each in messages):
            return None
        result = None
        try:
            provider = PROVIDERS[shape_of(messages, model)]
            limit = self._limit or context_limit(provider, model)
            result = compress(messages, model, limit, config=self.config)
        except HeadroomError as error:
            log.warning("messages stay as they came: %s", error.message)
        except Exception as error:
            log.warning("compress failed, messages stay as they came: %s", without_message(error))
        changed = result is not None and result.tokens_saved > 0
        with self._lock:
            self._stats["requests_total"] += 1
            self._stats["requests_optimized"] += changed
            self._stats["tokens_saved_total"] += result.tokens_saved if result is not None else 0
        return result.messages if result is not None and changed else None
