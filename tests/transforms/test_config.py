import pytest

import headroom.transforms
from headroom.errors import ConfigurationError
from headroom.transforms import SmartCrusherConfig


def test_the_defaults_are_the_documented_ones() -> None:
    config = SmartCrusherConfig()
    assert (config.enabled, config.min_items_to_analyze, config.min_tokens_to_crush) == (True, 5, 200)
    assert (config.variance_threshold, config.uniqueness_threshold, config.similarity_threshold) == (2.0, 0.1, 0.8)
    assert (config.max_items_after_crush, config.preserve_change_points) == (15, True)
    assert (config.dedup_identical_items, config.first_fraction, config.last_fraction) == (True, 0.3, 0.15)
    assert (config.lossless_only, config.relevance_tier) == (False, "bm25")


def test_the_documented_example_is_accepted() -> None:
    config = SmartCrusherConfig(
        max_items_after_crush=15,
        min_tokens_to_crush=200,
        relevance_tier="bm25",
        preserve_fields=["error", "warning", "failure"],
    )
    assert config == SmartCrusherConfig()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_items_to_analyze", 0),
        ("min_tokens_to_crush", -1),
        ("max_items_after_crush", 0),
        ("variance_threshold", 0),
        ("variance_threshold", float("nan")),
        ("uniqueness_threshold", 1.5),
        ("similarity_threshold", -0.1),
        ("first_fraction", 2),
        ("last_fraction", 0.8),
        ("relevance_tier", "magic"),
    ],
)
def test_a_value_out_of_range_is_named(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SmartCrusherConfig(**{field: value})  # type: ignore[arg-type]
    assert field in raised.value.message
    assert field in str(raised.value.details["setting"])


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        headroom.transforms.Nothing  # noqa: B018
