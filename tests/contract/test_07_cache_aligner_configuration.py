"""Cache Aligner Configuration."""

from openai import OpenAI

from headroom import HeadroomClient, HeadroomConfig, OpenAIProvider
from headroom.transforms import CacheAlignerConfig
from headroom.transforms.cache_aligner import align
from tests.contract.programs import sent
from tests.support.standin import StandIn

PATTERNS = [r"Today is \w+ \d+, \d{4}", r"Current time: .*"]
PROMPT = "Today is March 3, 2026. You keep a shop.\nCurrent time: 10:00\nBe brief."
TAIL = "\n\n---\n[Dynamic Context]\n"


def test_cache_aligner_config_is_imported_from_headroom_transforms_and_takes_the_documented_settings() -> None:
    config = CacheAlignerConfig(enabled=True, dynamic_patterns=PATTERNS)
    assert (config.enabled, config.dynamic_patterns) == (True, tuple(PATTERNS))
    assert (config.normalize_whitespace, config.dynamic_tail_separator) == (False, TAIL)


def test_enabled_enables_or_disables_cache_alignment() -> None:
    assert align(PROMPT, CacheAlignerConfig(enabled=False, dynamic_patterns=PATTERNS)) == PROMPT
    assert align(PROMPT, CacheAlignerConfig(enabled=True, dynamic_patterns=PATTERNS)) != PROMPT
    assert align(PROMPT, CacheAlignerConfig(dynamic_patterns=PATTERNS)) == PROMPT, "it is off by default"


def test_dynamic_patterns_are_extracted_from_the_system_prompt_so_that_its_prefix_is_stable(provider: StandIn) -> None:
    config = HeadroomConfig(cache_aligner=CacheAlignerConfig(enabled=True, dynamic_patterns=PATTERNS))
    heads = set()
    with HeadroomClient(OpenAI(), OpenAIProvider(), default_mode="optimize", config=config) as client:
        for day, time in (("March 3, 2026", "10:00"), ("April 4, 2026", "11:30")):
            prompt = PROMPT.replace("March 3, 2026", day).replace("10:00", time)
            said = [{"role": "system", "content": prompt}, {"role": "user", "content": "Hello!"}]
            client.chat.completions.create(model="gpt-4o", messages=said)
            head, _, tail = sent(provider)[0]["content"].partition(TAIL)
            heads.add(head)
            assert tail.split("\n") == [f"Today is {day}.", f"Current time: {time}"]
    assert heads == {"You keep a shop.\nBe brief."}
