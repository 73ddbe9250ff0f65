"""LiteLLM: a callback that makes the requests of ``litellm.completion`` and its siblings shorter.

    import litellm
    from headroom.integrations.litellm import HeadroomCallback

    litellm.callbacks = [HeadroomCallback()]

Asynchronous calls are changed where LiteLLM lets a callback change a request (``async_pre_call_deployment_hook``).
Synchronous ones have no such place; there the body that LiteLLM shows its callbacks before it sends it
(``log_pre_api_call``) is the one that it sends. Where it is another one, as with Bedrock's signed requests, nothing
is changed. Needs the extra ``litellm``.
"""

import threading
from collections import OrderedDict
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from headroom.config import HeadroomConfig
from headroom.integrations.shortener import Shortener

FIELDS = ("messages", "input", "contents")
"""Where the providers' requests have their messages."""
CALLS = frozenset({"completion", "acompletion", "responses", "aresponses", "anthropic_messages"})
_REMEMBERED = 10_000


class HeadroomCallback(CustomLogger):
    """For ``litellm.callbacks``. Takes what ``compress`` takes: ``HeadroomCallback(tool_profiles={"Read": "skip"})``.

    ``model_limit``: tokens that fit into the model; by default as is known of each. What fails leaves the request as
    it came, and says so in the log. Raises ConfigurationError for a wrong setting.
    """

    def __init__(self, config: HeadroomConfig | None = None, model_limit: int | None = None, **overrides: Any) -> None:
        super().__init__()
        self._shortener = Shortener(config, model_limit, **overrides)
        self._done: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def get_stats(self) -> dict[str, int]:
        """Since it was made: ``requests_total``, ``requests_optimized`` and ``tokens_saved_total`` (estimates)."""
        return self._shortener.get_stats()

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """LiteLLM calls this before it makes a provider's request of ``kwargs``."""
        from anyio import to_thread

        if getattr(call_type, "value", call_type) not in CALLS:
            return None
        self._remember(str(kwargs.get("litellm_call_id") or ""))
        changed = dict(kwargs)
        await to_thread.run_sync(self._shorten, changed, str(kwargs.get("model") or ""))
        return changed

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """LiteLLM calls this with the provider's request, just before it is sent."""
        if self._forget(str(kwargs.get("litellm_call_id") or "")):
            return
        body = (kwargs.get("additional_args") or {}).get("complete_input_dict")
        if isinstance(body, dict):
            self._shorten(body, model)

    def _shorten(self, body: dict[str, Any], model: str) -> None:
        for name in FIELDS:
            shorter = self._shortener.shorter(body.get(name), model)
            if shorter is not None:
                body[name] = shorter

    def _remember(self, call: str) -> None:
        """This call has been dealt with; its provider's request will be shown, too."""
        with self._lock:
            self._done[call] = None
            while len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)

    def _forget(self, call: str) -> bool:
        with self._lock:
            return self._done.pop(call, self) is None
