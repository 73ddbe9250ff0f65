"""POST /v1/compress: messages in, the same conversation in fewer tokens out, by the library's own ``compress``."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from headroom.compression import DEFAULT_MODEL, PROVIDERS, compress
from headroom.config import HeadroomConfig, HeadroomMode
from headroom.inspection import inspect
from headroom.messages import LIST, dumps, shape_of
from headroom.models import price_for
from headroom.tokenizers import tokenizer_for
from headroom.wire.shapes import read

type Json = dict[str, Any]


def answer(body: Mapping[str, Any]) -> Json:
    """The answer to {messages, model?, token_budget?, config?}, which is as the OpenAPI document says.

    ``compression_ratio`` is tokens after by tokens before, as the npm package has it: 1 when nothing was saved.
    Settings that are none of ours, of which the package has some, are named in ``ignored_settings``.
    Raises HeadroomError.
    """
    messages, model = body["messages"], body.get("model", DEFAULT_MODEL)
    limit = body.get("token_budget")
    config = body.get("config") or {}
    ignored: list[str] = []
    overrides = _known(HeadroomConfig(), config, "", ignored)
    mode = overrides.setdefault("default_mode", HeadroomMode.OPTIMIZE)
    more: Json = {"model_limit": int(limit)} if limit is not None else {}
    result = compress(messages, model, optimize=mode != HeadroomMode.AUDIT, **more, **overrides)
    after = result.tokens_after
    said: Json = {
        "messages": [_plain(message) for message in result.messages],
        "tokens_before": result.tokens_before,
        "tokens_after": after,
        "tokens_saved": result.tokens_saved,
        "compression_ratio": after / result.tokens_before if result.tokens_before else 1.0,
        "transforms_applied": list(result.transforms_applied),
        "ccr_hashes": list(result.ccr_hashes),
        "ignored_settings": ignored,
    }
    return {**said, **_simulation(messages, model, said)} if mode == HeadroomMode.SIMULATE else said


def _simulation(messages: list[Any], model: str, said: Json) -> Json:
    """What the SDKs' SimulationResult has besides."""
    shape = shape_of(messages, model) if messages else "openai-chat"
    layout = read(shape, dumps({"model": model, LIST[shape]: messages}))
    counter = tokenizer_for(PROVIDERS[shape], model)
    found = inspect(layout, counter.count)
    usd = said["tokens_saved"] * price_for(PROVIDERS[shape], model).input / 1e6
    return {
        "transforms": said["transforms_applied"],
        "estimated_savings": f"${usd:.4f} per request",
        "messages_optimized": said["messages"],
        "block_breakdown": dict(found.blocks),
        "waste_signals": dict(found.waste),
        "stable_prefix_hash": found.stable_prefix_hash,
        "cache_alignment_score": found.cache_alignment_score,
    }


def _known(base: Any, given: Mapping[str, Any], place: str, ignored: list[str]) -> Json:
    """What of ``given`` are settings of ours; the names of the rest are added to ``ignored``."""
    known = {each.name for each in fields(base)}
    found: Json = {}
    for name, value in given.items():
        old = getattr(base, name, None) if name in known else None
        if name not in known:
            ignored.append(f"{place}{name}"[:100])
        elif is_dataclass(old) and isinstance(value, Mapping):
            found[name] = _known(old, value, f"{place}{name}.", ignored)
        else:
            found[name] = value
    return found


def _plain(message: Any) -> Any:
    return message if isinstance(message, dict) else dict(message)
