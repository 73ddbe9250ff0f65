"""The OpenAPI document says what the API does: schemathesis asks it all sorts of things."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.schemas import BaseSchema
from starlette.routing import Route

from headroom.api import app as api
from headroom.api.openapi import document
from tests.api.conftest import Place

load_all_checks()
positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")
OPERATIONS = [(path, method.upper()) for path, ways in document("1")["paths"].items() for method in ways]
CAN_BE_WRONG = (
    *("/v1/compress", "/v1/retrieve", "/v1/retrieve/{hash}", "/v1/retrieve/tool_call", "/dashboard/login", "/events"),
    *("/stats/summary", "/stats-history", "/sessions", "/troubles", "/retrievals"),
)
"""Paths with something that can be wrong in a request."""
EXAMPLES = 30
DEEPER = ("/v1/compress", "/v1/retrieve/tool_call")
"""Paths whose bodies have to be right in more than a schema says: an answer to a call that was not made is a 400."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "EVENT_SECONDS", 0.0)
        place = Place(tmp_path_factory.mktemp("described"))
        yield schemathesis.openapi.from_asgi("/openapi.json", api.make_app(place))
        place.ledger.close()
        place.originals.close()


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        *((*operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
        *((*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS if operation[0] in CAN_BE_WRONG),
    ],
)
def test_every_answer_is_as_described(schema: BaseSchema, path: str, method: str, mode: GenerationMode) -> None:
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if path in DEEPER else [])  # type: ignore[list-item]

    ask()


def test_every_route_is_described_and_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = Place(tmp_path_factory.mktemp("routes"))
    routes = {
        (route.path.replace(":path}", "}"), method)
        for route in api.make_app(place).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    place.ledger.close()
    place.originals.close()
    assert set(OPERATIONS) == routes
