import pickle

import pytest

import headroom
from headroom import errors

KINDS = [
    errors.ConfigurationError,
    errors.ProviderError,
    errors.StorageError,
    errors.CompressionError,
    errors.TokenizationError,
    errors.CacheError,
    errors.ValidationError,
    errors.TransformError,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_headroom_error_with_message_and_details(kind: type[errors.HeadroomError]) -> None:
    with pytest.raises(errors.HeadroomError) as caught:
        raise kind("headroom_mode is 'fast'; expected audit, optimize or off.", {"found": "fast"})
    assert str(caught.value) == caught.value.message == "headroom_mode is 'fast'; expected audit, optimize or off."
    assert caught.value.details == {"found": "fast"}


def test_details_are_optional_and_never_shared_between_errors() -> None:
    given = {"path": "/tmp"}
    first, second, third = errors.HeadroomError("a"), errors.HeadroomError("b"), errors.HeadroomError("c", given)
    first.details["x"] = 1
    given["path"] = "/"
    assert second.details == {}
    assert third.details == {"path": "/tmp"}


def test_an_error_survives_the_way_back_from_a_worker_process() -> None:
    back = pickle.loads(pickle.dumps(errors.StorageError("full", {"path": "/w"})))
    assert type(back) is errors.StorageError
    assert (back.message, back.details) == ("full", {"path": "/w"})


def test_a_validation_error_can_be_caught_as_a_value_error() -> None:
    with pytest.raises(ValueError, match="bad"):
        raise errors.ValidationError("bad")


def test_the_errors_are_public_names_of_the_package() -> None:
    for kind in [errors.HeadroomError, *KINDS]:
        assert getattr(headroom, kind.__name__) is kind
