"""Environment Variables: HEADROOM_EMBEDDER_RUNTIME."""

from tests.embedding.test_embedders import (
    _fresh,
    apple,
    folder,
    test_pytorch_mps_engages_where_apple_mps_is_available,
    test_pytorch_mps_is_the_only_accepted_value,
    test_pytorch_mps_names_the_extra_that_it_needs,
    test_pytorch_mps_warns_and_the_default_is_used_where_mps_is_not_available,
)

__all__ = [
    "_fresh",
    "apple",
    "folder",
    "test_pytorch_mps_engages_where_apple_mps_is_available",
    "test_pytorch_mps_is_the_only_accepted_value",
    "test_pytorch_mps_names_the_extra_that_it_needs",
    "test_pytorch_mps_warns_and_the_default_is_used_where_mps_is_not_available",
]
