"""The addon's options, and what they and the environment come to."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from mitmproxy.exceptions import OptionsError
from mitmproxy.options import Options
from mitmproxy.optmanager import OptManager

from headroom import paths
from headroom.api.gate import KEY_VARIABLE
from headroom.cache import CacheSettings
from headroom.ccr.ways import LEVELS, RETRIEVALS, CcrSettings
from headroom.config import SemanticCacheConfig, crusher_of
from headroom.engine import Mode
from headroom.errors import ConfigurationError
from headroom.models import overrides
from headroom.session.betas import sessions_kept
from headroom.settings import Setting, load_config, proxy_options
from headroom.stores.remote import store_url
from headroom.telemetry.spans import check_installed
from headroom.transforms.config import SMART_CRUSHER, SmartCrusherConfig
from headroom.transforms.profiles import Profile, checked_profile
from headroom.wire.targets import parse_hosts

SEMANTIC_CACHE = SemanticCacheConfig()
MODES = ("optimize", "audit", "off")
CONTEXTS = ("off", "intelligent", "rolling")
LIVES = ("", "auto", "5m", "1h")
_is_name = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?(?::\d{1,5})?").fullmatch

OPTIONS: tuple[tuple[str, str | int | bool, str], ...] = (
    (
        "headroom_mode",
        "optimize",
        "What is done to provider requests: optimize rewrites them, audit changes no byte and records what would "
        "have been saved, off only records usage and cost.",
    ),
    (
        "headroom_workspace",
        "",
        "Folder of ledger and state. Empty: HEADROOM_WORKSPACE_DIR, else ~/.headroom.",
    ),
    (
        "headroom_store",
        "",
        "Where several proxies share what they know, so that a session may go through any of them: redis://..., "
        "rediss://... or postgresql://... Empty: HEADROOM_STORE_URL, else the workspace.",
    ),
    (
        "headroom_hosts",
        "",
        "Further hosts that speak a provider's API, as host=shape,host=shape; a shape is anthropic, openai, "
        "openai-chat, openai-responses or gemini.",
    ),
    (
        "headroom_tool_profiles",
        "",
        "How far the output of tools may be rewritten, as name=profile,name=profile; a name may have *, a profile is "
        "skip, lossless, normal or outline.",
    ),
    (
        "headroom_profile",
        "safe",
        "How much may be left out, where the model can have it back: safe nothing, balanced of tools whose profile is "
        "normal, max of all tools of which nobody said otherwise.",
    ),
    (
        "headroom_retrieval",
        "auto",
        "How the model has back what was left out: native (it reads the file again), tool (headroom_retrieve is added "
        "to a session's tools), mcp (the client has that tool), command (headroom retrieve, in its shell), auto (the "
        "cheapest that works) or off.",
    ),
    (
        "headroom_ccr_responses",
        True,
        "Answer the model's calls of headroom_retrieve. Without, the tool is never added.",
    ),
    (
        "headroom_ccr_inline",
        False,
        "For programs that don't loop on tool calls: answer calls of headroom_retrieve before the program sees the "
        "answer, where that calls nothing else. Streams of sessions that have the tool then come when they are whole.",
    ),
    (
        "headroom_ccr_expansion",
        False,
        "Add to the newest message the parts of what was left out that it names.",
    ),
    (
        "headroom_context",
        "off",
        "What goes when a conversation no longer fits into its model's context: intelligent drops the messages that "
        "are worth least, rolling the oldest, off none. Much goes at once, rarely.",
    ),
    (
        "headroom_context_limit",
        0,
        "Tokens that are taken to fit into every model; 0: as is known of each.",
    ),
    (
        "headroom_time_budget",
        250,
        "Milliseconds that a request may wait for its rewriting; after that it leaves as it came, but for what was "
        "replaced in its session before.",
    ),
    (
        "headroom_budget",
        "",
        "US dollars a day (UTC) as billed, over all proxies of the workspace; above it requests are answered with "
        "429. Empty: no limit.",
    ),
    (
        "headroom_cache",
        True,
        "Switch the provider's prompt cache on for programs that leave it unused: breakpoints are set where they pay "
        "in expectation, and never on a request that stands alone.",
    ),
    (
        "headroom_cache_ttl",
        "",
        "How long what such a breakpoint caches lives: 5m, 1h, or auto (1h where the gaps between a program's requests "
        "say that it pays). Empty: as the client says.",
    ),
    (
        "headroom_semantic_cache",
        True,
        "Answer programs' questions from the answers to the same or very similar ones, where semantic_cache in "
        "config.toml or the environment enables that.",
    ),
    (
        "headroom_stable_prefix",
        False,
        "Move what a system prompt says of now (date, time, ids) to its end and sort tools by name, so that what "
        "stands before stays in the provider's cache. Never for Claude Code, Codex and Gemini CLI.",
    ),
    (
        "headroom_drop_billing_line",
        False,
        "For hosts given in headroom_hosts: take out the line x-anthropic-billing-header that Claude Code puts first "
        "in the system prompt, whose changes cost other providers their cache.",
    ),
    (
        "headroom_api_hosts",
        "",
        "Further names under which clients reach this proxy itself, as name,name:port. localhost and addresses are "
        "understood anyway; any other name could be one that a web page made point here.",
    ),
    (
        "headroom_otel",
        False,
        "Send a span of each exchange to an OpenTelemetry collector, by the conventions for generative AI and without "
        "content. Where it is say OTEL_EXPORTER_OTLP_ENDPOINT and its kin. Needs the extra otel.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """``hosts`` maps further hosts to shapes, ``time_budget`` is in seconds, ``budget_usd`` per day or None,
    ``beta_sessions`` how many sessions' beta headers are kept, ``api_key`` what has to be shown or "", ``api_hosts``
    names of the proxy itself, ``smart_crusher`` how structured data is cut down, ``semantic_cache`` which
    questions are answered from what was answered before, ``context`` what goes when a conversation no longer fits into
    ``context_limit`` tokens (0: as many as its model takes), ``store`` the URL of what several proxies share or "",
    ``otel`` whether spans are sent."""

    mode: Mode
    workspace: Path
    savings: Path
    toin: Path
    subscription: Path
    hosts: Mapping[str, str]
    time_budget: float
    budget_usd: float | None
    drop_billing_line: bool
    beta_sessions: int
    cache: CacheSettings
    tool_profiles: Mapping[str, str]
    ccr: CcrSettings
    api_key: str
    api_hosts: frozenset[str]
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    semantic_cache: SemanticCacheConfig = SEMANTIC_CACHE
    context: str = "off"
    context_limit: int = 0
    store: str = ""
    otel: bool = False


def stated() -> dict[str, Setting]:
    """The options that ${CONFIG}/config.toml or the environment state; they stand for the defaults of the others.

    Raises ConfigurationError.
    """
    return proxy_options({name: default for name, default, _ in OPTIONS})


def options_with_defaults() -> Iterator[tuple[str, str | int | bool, str]]:
    """Each option with its default and what it is: the file's or the environment's where they state it.

    What is typed, or stands in mitmproxy's config.yaml, wins over that. Raises ConfigurationError.
    """
    found = stated()
    for name, default, text in OPTIONS:
        setting = found.get(name)
        yield name, cast(str | int | bool, setting.value) if setting else default, text


def wrong_deferred(options: OptManager) -> Iterator[tuple[str, str]]:
    """Our options that were typed, or stand in mitmproxy's file, with values that can't be theirs, and why."""
    for name, default, text in OPTIONS:
        if name in options.deferred:
            given, trial = options.deferred[name], OptManager()
            trial.add_option(name, type(default), default, text)
            try:
                if hasattr(given, "val"):  # as it was typed
                    trial.set(*(f"{name}={word}" for word in given.val) if given.val else (name,))
                else:
                    trial.update(**{name: given})
            except (OptionsError, TypeError) as error:
                yield name, str(error)


def read_settings(options: Options) -> Settings:
    """Raises ConfigurationError that names the setting, its value and what is allowed."""
    stated()  # a wrong config.toml is told, whatever was typed
    mode = options.headroom_mode
    if mode not in MODES:
        raise _wrong("headroom_mode", mode, " | ".join(MODES))
    milliseconds = options.headroom_time_budget
    if milliseconds < 1:
        raise _wrong("headroom_time_budget", milliseconds, "milliseconds, at least 1")
    if options.headroom_otel:
        check_installed()
    overrides()  # a wrong models.json is told now, and not when a bill is due
    ttl = options.headroom_cache_ttl
    if ttl not in LIVES:
        raise _wrong("headroom_cache_ttl", ttl, "auto | 5m | 1h, or nothing")
    level, retrieval = options.headroom_profile, options.headroom_retrieval
    if level not in LEVELS:
        raise _wrong("headroom_profile", level, " | ".join(LEVELS))
    if retrieval not in RETRIEVALS:
        raise _wrong("headroom_retrieval", retrieval, " | ".join(RETRIEVALS))
    context = options.headroom_context
    if context not in CONTEXTS:
        raise _wrong("headroom_context", context, " | ".join(CONTEXTS))
    if options.headroom_context_limit < 0:
        raise _wrong("headroom_context_limit", options.headroom_context_limit, "tokens, or 0")
    config = load_config()  # what config.toml and the environment say of all that uses the engine
    workspace = paths.workspace_dir(options.headroom_workspace or None)
    return Settings(
        cast(Mode, mode),
        workspace,
        paths.savings_path() if os.environ.get("HEADROOM_SAVINGS_PATH") else workspace / "proxy_savings.json",
        paths.toin_path() if os.environ.get("HEADROOM_TOIN_PATH") else workspace / "toin.json",
        _subscription(workspace),
        parse_hosts(options.headroom_hosts),
        milliseconds / 1000,
        _budget(options.headroom_budget),
        options.headroom_drop_billing_line,
        sessions_kept(),
        CacheSettings(options.headroom_cache, ttl, options.headroom_stable_prefix),
        {**config.tool_profiles, **parse_profiles("headroom_tool_profiles", options.headroom_tool_profiles)},
        CcrSettings(
            retrieval,
            options.headroom_ccr_responses,
            options.headroom_ccr_expansion,
            level,
            options.headroom_ccr_inline and options.headroom_ccr_responses,
        ),
        os.environ.get(KEY_VARIABLE, "").strip(),
        _names(options.headroom_api_hosts),
        crusher_of(config),
        replace(config.semantic_cache, enabled=config.semantic_cache.enabled and options.headroom_semantic_cache),
        context,
        options.headroom_context_limit,
        store_url(options.headroom_store),
        options.headroom_otel,
    )


def parse_profiles(setting: str, spec: str) -> dict[str, str]:
    """``Bash=skip,mcp__*=lossless`` as a mapping. Raises ConfigurationError that names ``setting``."""
    profiles: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in spec.split(","))):
        name, _, value = (part.strip() for part in entry.partition("="))
        if not name or value.lower() not in tuple(Profile):
            raise _wrong(setting, entry, f"name=profile with a profile of {' | '.join(Profile)}")
        profiles[name] = checked_profile(name, value)
    return profiles


def _budget(value: str) -> float | None:
    if not value:
        return None
    try:
        usd = float(value)
    except ValueError:
        usd = -1.0
    if not 0 < usd < float("inf"):
        raise _wrong("headroom_budget", value, "US dollars above 0, such as 10.00, or nothing")
    return usd


def _subscription(workspace: Path) -> Path:
    stated = os.environ.get("HEADROOM_SUBSCRIPTION_STATE_PATH")
    return paths.subscription_state_path(None if stated else workspace / "subscription_state.json")


def _names(value: str) -> frozenset[str]:
    names = frozenset(filter(None, (part.strip().lower() for part in value.split(","))))
    for name in names:
        if not _is_name(name):
            raise _wrong("headroom_api_hosts", name, "names of hosts, with a port or without, separated by commas")
    return names


def _wrong(setting: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting} is {value!r}; allowed: {allowed}", {"setting": setting, "value": value, "allowed": allowed}
    )
