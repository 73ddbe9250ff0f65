"""``compress()``: a list of messages in, the same conversation in fewer tokens out.

It is the proxy's own pipeline, and a pure function: the same messages give the same result on every machine and in
every process, and of a conversation that has grown the old part is written as it was before. So a program may keep its
originals and call it in every turn; what the provider has cached stays valid.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.config import CacheAlignerConfig, HeadroomConfig, at_least
from headroom.errors import ValidationError
from headroom.latest import put
from headroom.messages import LIST, check, check_roles, dumps, loads, shape_of, with_texts
from headroom.settings import load_config
from headroom.tokenizers import Tokenizer, tokenizer_for
from headroom.wire.spans import ScanError, Span

if TYPE_CHECKING:  # loaded when something is compressed: a program that only imports us need not wait
    from headroom.engine import Engine, Rewrite
    from headroom.wire.layout import Layout

DEFAULT_MODEL = "claude-sonnet-4-5-20250929"
PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "gemini": "gemini",
}
ENGINES = 4
"""Settings of which the engine is kept, with the last conversations: what they have in common with the next one is not
decided again."""
CONVERSATIONS = 4
REPEATED, REPEATED_BYTES = 16, 200_000
"""Bodies, and their length at the most, whose rewriting is known when the very same come again."""
KEPT_BYTES = 4_000_000
"""Of a conversation that is kept."""
COUNTED = 20_000
"""Texts whose tokens are known."""
HEADS = ("system", "developer")
"""Roles of messages that are a system prompt."""


@dataclass(frozen=True, slots=True)
class CompressResult:
    """What became of a list of messages.

    ``messages`` are a new list; those that did not change are the caller's own objects. Tokens are those of the texts
    in the messages, counted with the model's tokenizer (for Claude and Gemini an estimate). ``compression_ratio`` is
    the share saved: 0.65 when 65 % are gone. ``transforms_applied`` names the strategies, the best first.
    """

    messages: list[Any]
    tokens_before: int = 0
    tokens_after: int = 0
    tokens_saved: int = 0
    compression_ratio: float = 0.0
    transforms_applied: tuple[str, ...] = ()
    ccr_hashes: tuple[str, ...] = ()
    """Of what was left out, where it can be had back."""


def compress(
    messages: Sequence[Any],
    model: str = DEFAULT_MODEL,
    model_limit: int = 200_000,
    optimize: bool = True,
    config: HeadroomConfig | None = None,
    **overrides: Any,
) -> CompressResult:
    """Write the tool results of a conversation in fewer tokens.

    Where that is not enough for ``model_limit`` tokens, less the output buffer, messages are dropped as
    ``intelligent_context`` or, where that is off, ``rolling_window`` says, in steps: see ``headroom.context.managers``.
    ``messages`` are Anthropic's, OpenAI's (Chat Completions, Responses) or Gemini's: dicts, or the objects of their
    SDKs. They are never changed. With ``optimize=False`` they are only counted. ``overrides`` are fields of
    HeadroomConfig and win over ``config``, which wins over the config file and the environment.

    Raises ValidationError, which names the place, for what no provider would take; ConfigurationError for settings.
    """
    given = check(messages)
    at_least("model_limit", model_limit, 1)
    settings = load_config(config, **overrides)
    if not given:
        return CompressResult([])
    shape = shape_of(given, model)
    check_roles(given, shape)
    body = dumps({"model": model, LIST[shape]: given})
    rewrite = rewrite_alone(shape, body, model, settings, optimize)
    result = _result(given, shape, body, rewrite, model)
    if optimize and len(rewrite.body) > model_limit // 2:  # a token has a byte at the least
        return _fitted(given, shape, body, rewrite, model, model_limit, settings) or result
    return result


def rewrite_alone(shape: str, body: bytes, model: str, config: HeadroomConfig, optimize: bool = True) -> "Rewrite":
    """What the engine makes of a body of which no provider has seen anything before."""
    from headroom.engine import RawRequest

    key = (shape, optimize, *_key(model, config), body)
    if (known := _rewrites.get(key)) is not None:
        return known
    request = RawRequest(
        PROVIDERS[shape],
        shape,
        "",
        {},
        body,
        model,
        tool_profiles=config.tool_profiles,
        smart_crusher=config.smart_crusher,
        all_new=True,
    )
    try:
        rewrite = _engine(model, config, body).rewrite(request, "optimize" if optimize else "off")
    except ScanError as error:
        raise ValidationError(f"the messages can't be read: {error.message}", error.details) from error
    if len(body) <= REPEATED_BYTES:
        _keep(_rewrites, key, rewrite, REPEATED)
    return rewrite


def _key(model: str, config: HeadroomConfig) -> tuple[Hashable, ...]:
    """What the rewriting of a body depends on besides it."""
    return model, tuple(config.tool_profiles.items()), config.smart_crusher, aligner_of(config)


def _keep[KeyT, ValueT](where: "OrderedDict[KeyT, ValueT]", key: KeyT, value: ValueT, limit: int) -> None:
    with _keeping:
        put(where, key, value, limit)


_keeping = threading.Lock()
_rewrites: "OrderedDict[tuple[Hashable, ...], Rewrite]" = OrderedDict()
_engines: "OrderedDict[tuple[Hashable, ...], Engine]" = OrderedDict()


def _engine(model: str, config: HeadroomConfig, body: bytes) -> "Engine":
    """An engine that remembers no decision: what it makes of a body does not depend on what it was given before. Of the
    last conversations it knows how their blocks came out, which they do again where they begin the next one."""
    from headroom.cache import CacheSettings
    from headroom.engine import Engine
    from headroom.session.memory import NoMemory

    settings = CacheSettings(enabled=False, aligner=aligner_of(config))
    if len(body) > KEPT_BYTES:
        return Engine(NoMemory(), settings, conversations=1)
    key = _key(model, config)
    engine = _engines.get(key) or Engine(NoMemory(), settings, conversations=CONVERSATIONS)
    _keep(_engines, key, engine, ENGINES)
    return engine


def aligner_of(config: HeadroomConfig) -> CacheAlignerConfig | None:
    """How dates, times and ids are moved to the end of the system prompt, where that is asked for."""
    return config.cache_aligner if config.cache_aligner.enabled else None


def _result(given: list[Any], shape: str, body: bytes, rewrite: "Rewrite", model: str) -> CompressResult:
    from headroom.wire.shapes import read

    counter, layout = tokenizer_for(PROVIDERS[shape], model), read(shape, body)
    before = sum(_tokens(counter, text) for text in texts(layout))
    new = {Span(*report.span): report.replacement for report in rewrite.blocks if report.replacement is not None}
    if rewrite.body == body:
        return CompressResult(given, before, before)
    written = loads(rewrite.body)[LIST[shape]]
    turns = {report.turn for report in rewrite.blocks if report.replacement is not None}
    turns |= {number for number, each in enumerate(given) if _role(each) in HEADS}
    messages = [with_texts(each, written[i]) if i in turns else each for i, each in enumerate(given)]
    replaced = [block for block in layout.blocks if block.span in new]
    saved = sum(_tokens(counter, layout.text(block) or "") - _tokens(counter, new[block.span]) for block in replaced)
    names = sorted(rewrite.saved, key=lambda name: (-rewrite.saved[name], name))
    if any(_role(each) in HEADS and each is not was for each, was in zip(messages, given, strict=True)):
        names.append("cache_aligner")
    return CompressResult(messages, before, before - saved, saved, _share(saved, before), tuple(names))


def _fitted(
    given: list[Any], shape: str, body: bytes, rewrite: "Rewrite", model: str, limit: int, config: HeadroomConfig
) -> CompressResult | None:
    """What is left when messages are dropped until the rest fits; None where all fits, or nothing may go."""
    from headroom.ccr.markers import dropped
    from headroom.context.managers import budget_of, manager_of, steps, tokens_of, without
    from headroom.wire.shapes import read

    manager = manager_of(config)
    if manager is None:
        return None
    layout, budget = read(shape, body), budget_of(limit, manager.output_buffer)
    sizes = tokens_of(read(shape, rewrite.body), model)
    gone, _ = steps(manager, layout, sizes, budget) if sum(sizes) > budget else ((), 0)
    if not gone:
        return None
    left = without(given, layout, gone, dropped(len(gone), manager.by, None, ""))
    cut = dumps({"model": model, LIST[shape]: left})
    result = _result(left, shape, cut, rewrite_alone(shape, cut, model, config), model)
    counter = tokenizer_for(PROVIDERS[shape], model)
    before = sum(_tokens(counter, text) for text in texts(layout))
    saved = before - result.tokens_after
    names = (manager.name, *result.transforms_applied)
    return CompressResult(result.messages, before, result.tokens_after, saved, _share(saved, before), names)


_counted: "OrderedDict[tuple[Tokenizer, int, int], int]" = OrderedDict()


def _tokens(counter: Tokenizer, text: str) -> int:
    """Tokens of a text. Those of the last texts are known: a conversation that grows brings them again."""
    key = (counter, hash(text), len(text))
    found = _counted.get(key)
    if found is None:
        found = counter.count(text)
        _keep(_counted, key, found, COUNTED)
    return found


def _share(saved: int, before: int) -> float:
    return round(saved / before, 4) if before else 0.0


def _role(message: Any) -> object:
    return message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)


def texts(layout: "Layout") -> Iterator[str]:
    """All that a request's messages say: what was said, the inputs of calls, their results."""
    for block in layout.blocks:
        text = layout.text(block)
        if text is not None:
            yield text
        elif block.kind == "call":
            yield layout.body[block.span.start : block.span.end].decode("utf-8", "replace")
