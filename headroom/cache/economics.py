"""When a breakpoint pays. All prices are in units of one uncached input token.

A write costs 1.25 (5 minutes) or 2.0 (1 hour), a read 0.1: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

from collections.abc import Sequence

from headroom.cache.plan import Life

READ = 0.1
WRITE: dict[Life, float] = {"5m": 1.25, "1h": 2.0}
SECONDS: dict[Life, float] = {"5m": 300.0, "1h": 3600.0}
LEAST_GAPS = 3
"""Gaps that must be known before a longer life is chosen."""


def expected_gain(cached: int, new: int, chance: float, life: Life = "5m") -> float:
    """What a breakpoint at the end of a request saves on average, in input tokens; negative: it costs more.

    ``cached`` tokens stand in the cache and can only be read by a request with a breakpoint: each saves 0.9. Each of
    the ``new`` ones costs 0.25 (1.0 for 1 hour) more than without, and with ``chance`` the next request reads it for
    0.1 where it would have to write it. With nothing cached the break-even is a chance of 0.25 / 1.15 = 22 %
    (1 hour: 1.0 / 1.9 = 53 %).
    """
    write = WRITE[life]
    return (1 - READ) * cached + new * (chance * (write - READ) - (write - 1))


def longer_life_pays(gaps: Sequence[float], cached: int, new: int) -> bool:
    """Whether entries should live an hour, judged by the ``gaps`` (seconds) that this program left between requests.

    A turn that reads ``cached`` tokens and writes ``new`` ones costs 0.1 cached + 1.25 new, or 1.25 (cached + new)
    when the gap was too long; with an hour 0.1 cached + 2 new, or 2 (cached + new). With every gap below an hour it
    pays where the share of gaps above 5 minutes is more than 0.65 new / cached.
    """
    if len(gaps) < LEAST_GAPS:
        return False
    costs = {
        life: sum(
            READ * cached + WRITE[life] * new if gap <= SECONDS[life] else WRITE[life] * (cached + new) for gap in gaps
        )
        for life in SECONDS
    }
    return costs["1h"] < costs["5m"]
