"""Every error that headroom raises on purpose."""

import traceback
from collections.abc import Mapping


class HeadroomError(Exception):
    """Base of all headroom errors.

    `message` is one sentence that names the setting or field, what was found and what was expected.
    `details` holds the same facts for programs. Neither ever carries message content or a key.
    """

    def __init__(self, message: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = dict(details or {})


class ConfigurationError(HeadroomError):
    """A setting, option or environment variable has a value that is not allowed."""


class ProviderError(HeadroomError):
    """A provider or its client is not supported, or answered in a way that cannot be used."""


class StorageError(HeadroomError):
    """A file, folder or database could not be read or written."""


class CompressionError(HeadroomError):
    """A text could not be compressed."""


class TokenizationError(HeadroomError):
    """The tokens of a text could not be counted."""


class CacheError(HeadroomError):
    """A cache could not be read or written."""


class ValidationError(HeadroomError, ValueError):
    """An argument or a request is malformed."""


class TransformError(HeadroomError):
    """A transform failed or was configured wrongly."""


def without_message(error: BaseException) -> str:
    """An error for a log: its type and where it happened. Its message is left out, for it may quote a request."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
