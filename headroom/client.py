"""``HeadroomClient``: a provider's SDK client whose requests are made shorter on their way.

    client = HeadroomClient(OpenAI(), OpenAIProvider(), default_mode="optimize")
    client.chat.completions.create(model="gpt-4o", messages=[...])      # as before

The engine, its decisions and the ledger are the proxy's. The program's own client is not changed.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from headroom.cache import CacheSettings
from headroom.ccr.originals import limits_of, open_originals
from headroom.ccr.ways import CcrSettings, Retrieval
from headroom.compression import aligner_of
from headroom.config import CacheOptimizerConfig, HeadroomConfig, HeadroomMode
from headroom.context.managers import manager_of
from headroom.context.windows import Windows
from headroom.engine import Engine
from headroom.errors import ConfigurationError, HeadroomError, ProviderError
from headroom.ledger import Ledger
from headroom.models import Price, override_limits, override_price
from headroom.models import load as load_models
from headroom.providers import AnthropicProvider, GoogleProvider, OpenAIProvider, Provider
from headroom.sdk import genai, stainless
from headroom.sdk.calls import Desk
from headroom.sdk.resources import Resource, is_resource
from headroom.sdk.results import RequestMetrics, metrics_of
from headroom.sdk.storage import store_at
from headroom.session.memory import SqliteMemory
from headroom.settings import load_config
from headroom.telemetry import Toin, get_toin


class HeadroomClient[ClientT]:
    """Wraps a client of ``openai``, ``anthropic`` or ``google-genai``, synchronous or asynchronous.

    Whatever the wrapped client has, this one has: ``client.chat.completions.create(...)``,
    ``client.messages.stream(...)``, ``client.models.generate_content(...)``, ``with_raw_response``, ``with_options``,
    ``parse`` and the rest, with the SDK's own types. ``client.sdk`` is the same as an object of the SDK's class, for
    type checkers and editors.

    Beside the SDK's keywords, each call takes ``headroom_mode`` (audit, optimize, simulate),
    ``headroom_cache_prefix_tokens``, ``headroom_output_buffer_tokens``, ``headroom_keep_turns`` and
    ``headroom_tool_profiles``. ``.simulate(...)`` stands beside each ``create`` and sends nothing.
    """

    def __init__(
        self,
        original_client: ClientT,
        provider: Provider | None = None,
        store_url: str | None = None,
        default_mode: str | HeadroomMode | None = None,
        model_context_limits: Mapping[str, int] | None = None,
        cache_optimizer: CacheOptimizerConfig | None = None,
        enable_cache_optimizer: bool | None = None,
        enable_semantic_cache: bool | None = None,
        config: HeadroomConfig | None = None,
    ) -> None:
        """What is None is as ``config`` says, else as the environment and the config file say; by default the mode is
        audit, the cache optimizer is on and the semantic cache is off.

        ``store_url`` is where requests are written down, ``sqlite:////absolute/path.db``; by default in a folder of the
        user's in the system's folder for temporary files. ``sqlite:///{paths.ledger_path()}`` is the proxy's.

        Raises ProviderError for a client that is none of the three, or of another provider than ``provider``;
        ConfigurationError for a wrong setting; StorageError when nothing can be written down.
        """
        self._family = _family(original_client)
        self._provider = _provider(self._family, provider)
        settings = load_config(config)
        given: dict[str, Any] = {"store_url": store_url, "default_mode": default_mode}
        given["model_context_limits"] = model_context_limits
        given["cache_optimizer"] = cache_optimizer
        settings = load_config(settings, **{name: value for name, value in given.items() if value is not None})
        if enable_cache_optimizer is not None:
            settings = replace(
                settings, cache_optimizer=replace(settings.cache_optimizer, enabled=bool(enable_cache_optimizer))
            )
        if enable_semantic_cache is not None:
            settings = replace(
                settings, semantic_cache=replace(settings.semantic_cache, enabled=bool(enable_semantic_cache))
            )
        self.config = settings
        self._store = store_at(settings.store_url)
        caching = settings.cache_optimizer.enabled and self._provider.caches
        self._limits = {**settings.model_context_limits, **self._provider.context_limits}
        folder, manager = self._store.path.parent, manager_of(settings, _learned(settings))
        memory = SqliteMemory(folder / "state.db")
        originals = open_originals(path=folder / "originals.db", limits=limits_of(settings.ccr))
        engine = Engine(
            memory,
            CacheSettings(caching, settings.cache_optimizer.ttl, aligner=aligner_of(settings)),
            originals=originals,
            ccr=_ccr(settings),
            windows=Windows(manager, originals) if manager is not None else None,
        )
        explicit = settings.cache_optimizer.enabled and getattr(self._provider, "enable_context_caching", False)
        self._caches = genai.explicit_caches(original_client) if explicit else None
        closes = [memory.close, originals.close, *([self._caches.close] if self._caches is not None else [])]
        answers = None
        if settings.semantic_cache.enabled:
            from headroom.semantic_cache import open_cache

            answers = open_cache(settings.semantic_cache, path=folder / "semantic_cache.db")
            closes.append(answers.close)
        self._desk = Desk(settings, engine, Ledger(self._store.path), self.context_limit, closes, answers, self._price)
        self.original = original_client
        self.sdk: ClientT = (
            genai.wrapped(original_client, self._desk, self._caches)
            if self._family == "google"
            else stainless.wrapped(original_client, self._desk, self._family)
        )

    def _price(self, maker: str, model: str) -> Price:
        return override_price(self._provider.prices(), maker, model)

    def context_limit(self, model: str) -> int:
        """Tokens that fit into a model: as this client was told, else as models.json or the price list says."""
        return override_limits(self._limits, {"google": "gemini"}.get(self._family, self._family), model)

    def with_options(self, **options: Any) -> Self:
        """The same with other options of the SDK (timeout, max_retries, ...). Ledger and decisions are shared."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.sdk = self.sdk.with_options(**options)  # type: ignore[attr-defined]
        return twin

    copy = with_options

    # --- figures -----------------------------------------------------------------------------------------------

    def get_stats(self) -> dict[str, dict[str, Any]]:
        """What this client has done since it was made. ``cache_hits`` are answers for which something was read from
        the provider's cache, and those that came from the semantic cache."""
        self._desk.flush()
        settings = self.config
        return {
            "session": dict(self._desk.counts),
            "config": {
                "mode": str(settings.default_mode),
                "provider": self._provider.name,
                "cache_optimizer": self._desk.engine.cache.enabled,
                "semantic_cache": settings.semantic_cache.enabled,
            },
            **({"context_caches": asdict(self._caches.figures())} if self._caches is not None else {}),
            "transforms": {
                "smart_crusher_enabled": settings.smart_crusher.enabled,
                "cache_aligner_enabled": settings.cache_aligner.enabled,
                "rolling_window_enabled": settings.rolling_window.enabled,
                "intelligent_context_enabled": settings.intelligent_context.enabled,
            },
        }

    def get_metrics(
        self,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        model: str | None = None,
        mode: str | None = None,
        limit: int = 100,
    ) -> list[RequestMetrics]:
        """The requests in the store from ``start_time`` to before ``end_time``, newest first. Times without a zone are
        local."""
        self._desk.flush()
        rows = self._desk.ledger.recent(limit, _seconds(start_time), _seconds(end_time), model, mode)
        return [metrics_of(row) for row in rows]

    def get_summary(self, start_time: datetime | None = None, end_time: datetime | None = None) -> dict[str, Any]:
        """Sums over the requests in the store: tokens, USD as billed and as it would have been, by transform."""
        self._desk.flush()
        sums = self._desk.ledger.totals(_seconds(start_time), _seconds(end_time))
        usage = sums.usage
        return {
            "total_requests": sums.requests,
            "requests_optimized": sums.rewritten,
            "errors": sums.errors,
            "total_tokens_before": sums.tokens_before,
            "total_tokens_after": sums.tokens_before - sums.tokens_saved,
            "total_tokens_saved": sums.tokens_saved,
            "tokens_savable": sums.tokens_savable,
            "average_savings_percent": round(100 * sums.tokens_saved / sums.tokens_before, 2)
            if sums.tokens_before
            else 0.0,
            "tokens_billed_input": usage.total_input,
            "tokens_cached": usage.cache_read_tokens,
            "tokens_output": usage.output_tokens,
            "cost_usd": round(sums.cost_usd, 6),
            "cost_without_usd": round(sums.cost_without_usd, 6),
            "saved_usd": round(sums.saved_usd, 6),
            "saved_by_transform": dict(sums.saved_by_strategy),
        }

    def validate_setup(self) -> dict[str, Any]:
        """Whether provider, store and settings can be used; nothing is sent. ``issues`` says what is wrong in words."""
        parts: dict[str, dict[str, Any]] = {
            "provider": {"ok": True, "name": self._provider.name, "error": None},
            "storage": {"ok": True, "url": self._store.url, "error": None},
            "config": {"ok": True, "mode": str(self.config.default_mode), "error": None},
            "cache_optimizer": {"ok": True, "name": self._cache_name(), "error": None},
        }
        problem = self._desk.ledger.problem or self._store.problem()
        if problem:
            parts["storage"] |= {"ok": False, "error": problem}
        for name, check in (("config", load_models), ("config", load_config), ("provider", self._has_key)):
            try:
                check()
            except HeadroomError as error:
                parts[name] |= {"ok": False, "error": error.message}
        issues = [f"{name}: {part['error']}" for name, part in parts.items() if not part["ok"]]
        return {"valid": not issues, "issues": issues, **parts}

    def _cache_name(self) -> str:
        return f"{self._provider.name}-cache-optimizer" if self._desk.engine.cache.enabled else "none"

    def _has_key(self) -> None:
        client: Any = self.original
        if self._family == "google":
            client = client._api_client
        keys = [getattr(client, name, None) for name in ("api_key", "auth_token", "_credentials", "credentials")]
        known = any(keys) or any(getattr(client, name, None) for name in ("aws_region", "project", "project_id"))
        if not known:
            raise ProviderError(f"the {self._family} client has no key", {"provider": self._family})

    # --- as the wrapped client ---------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "sdk" not in self.__dict__:
            raise AttributeError(name)
        value = getattr(self.sdk, name)
        return Resource(value) if is_resource(value) else value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.sdk)})

    def close(self) -> None:
        """Write down what is over and let go of the store. The wrapped client stays open: it is its owner's."""
        self._desk.close()

    async def aclose(self) -> None:
        """``close`` for asynchronous programs."""
        from anyio import to_thread

        await to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


_MODULES = {"openai": "openai", "anthropic": "anthropic"}
_PROVIDERS: Mapping[str, type[Provider]] = {
    "openai": OpenAIProvider,
    "anthropic": AnthropicProvider,
    "google": GoogleProvider,
}


def _ccr(settings: HeadroomConfig) -> CcrSettings:
    """What may be left out, and how the model has it back."""
    retrieval: Retrieval = "tool" if settings.ccr.inject_tool else "auto"
    if not settings.ccr.enabled:
        retrieval = "off"
    return CcrSettings(retrieval, settings.ccr.inject_tool, False, settings.profile)


def _learned(settings: HeadroomConfig) -> Toin | None:
    """What was learned of earlier retrievals, where it is to count."""
    context = settings.intelligent_context
    return get_toin() if context.enabled and context.toin_integration else None


def _family(client: object) -> str:
    """Whose API a client speaks."""
    if isinstance(client, HeadroomClient):
        raise ProviderError("the client is a HeadroomClient already; expected the SDK's own client", {})
    if genai.is_genai(client):
        return "google"
    if stainless.is_stainless(client):
        modules = [kind.__module__.partition(".")[0] for kind in type(client).__mro__]
        return next((_MODULES[name] for name in modules if name in _MODULES), "openai")
    kind = type(client)
    raise ProviderError(
        f"original_client is a {kind.__module__}.{kind.__qualname__}; expected a client of openai, anthropic or "
        "google-genai",
        {"found": f"{kind.__module__}.{kind.__qualname__}"},
    )


def _provider(family: str, provider: Provider | None) -> Provider:
    if provider is None:
        return _PROVIDERS[family]()
    if not isinstance(provider, Provider):
        raise ProviderError(f"provider is a {type(provider).__name__}; expected {_PROVIDERS[family].__name__}()", {})
    if provider.name != family:
        raise ProviderError(
            f"provider is {type(provider).__name__} and the client is one of {family}; expected "
            f"{_PROVIDERS[family].__name__}",
            {"provider": provider.name, "client": family},
        )
    return provider


def _seconds(time: datetime | None) -> float | None:
    if time is not None and not isinstance(time, datetime):
        raise ConfigurationError(f"a time is {time!r}; expected a datetime", {"found": repr(time)})
    return time.timestamp() if time is not None else None
