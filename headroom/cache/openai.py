"""OpenAI caches by itself; a key makes it find the cache: https://platform.openai.com/docs/guides/prompt-caching

Requests are routed by a hash of how the prompt begins, and ``prompt_cache_key`` is hashed with it: the requests of
one conversation meet the machine that has their prefix, also when many conversations begin alike.
"""

from hashlib import blake2b

from headroom.cache.plan import CacheSettings, Plan, RequestFacts
from headroom.wire.layout import Layout
from headroom.wire.spans import Patch

HOST = "api.openai.com"
"""Compatible hosts may refuse a field that they don't know."""
LEAST_BYTES = 3600
"""Some 1,024 tokens: shorter prompts are not cached."""


def plan(layout: Layout, facts: RequestFacts, settings: CacheSettings) -> Plan:
    """The key that this request gets, or why it gets none."""
    if not settings.enabled:
        return Plan(reason="switched off")
    if facts.host != HOST:
        return Plan(reason="not known to take a key")
    if "prompt_cache_key" in layout.fields:
        return Plan(reason="the client sends its own key")
    if len(layout.body) < LEAST_BYTES or not layout.turns:
        return Plan(reason="shorter than the provider caches")
    if not facts.session:
        return Plan(reason="no session")
    # hashed: it goes to the provider, and holds what the user called the session
    key = blake2b(facts.session.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    at = layout.opening + 1
    return Plan((Patch(at, at, f'"prompt_cache_key":"headroom-{key}",'.encode()),), "key", "one key a conversation")
