"""Gemini's explicit caches: made when they pay, used again, renewed, deleted, and what keeping them costs."""

from typing import Any

import pytest

from headroom.cache.explicit import HEAD, LIFE, RETRY_SECONDS, ExplicitCaches

Json = dict[str, Any]
MODEL = "gemini-2.5-pro"
SYSTEM = {"parts": [{"text": "You run a shop and look things up. " * 1_000}]}
TOOLS = [{"functionDeclarations": [{"name": "stock", "description": "Looks up what is there."}]}]


class Provider:
    """Keeps caches; ``broken`` says what it refuses to do."""

    def __init__(self) -> None:
        self.made: list[Json] = []
        self.told: list[tuple[str, str]] = []
        self.broken: set[str] = set()

    def create(self, body: Json) -> Json:
        self._do("create", str(body["model"]))
        self.made.append(body)
        return {"name": f"cachedContents/{len(self.made)}", "usageMetadata": {"totalTokenCount": 8_000}}

    def renew(self, name: str, ttl: str) -> None:
        self._do("renew", name)

    def delete(self, name: str) -> None:
        self._do("delete", name)

    def _do(self, what: str, name: str) -> None:
        self.told.append((what, name))
        if what in self.broken:
            raise RuntimeError("no")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """Caches of a program, its provider and its clock."""

    def __init__(self) -> None:
        self.provider, self.clock = Provider(), Clock()
        self.caches = ExplicitCaches(self.provider, self.clock)

    def ask(self, said: str = "Hello", model: str = MODEL, **fields: Any) -> str:
        """The cache that a request names, "" for none; what it holds is said once."""
        request = {"systemInstruction": SYSTEM, "tools": TOOLS, "contents": [{"parts": [{"text": said}]}], **fields}
        used = self.caches.use(request, model)
        if used is None:
            return ""
        new, name = used
        assert new == {
            **{key: value for key, value in request.items() if key not in HEAD},
            "cachedContent": name,
        }
        return name


@pytest.fixture
def place() -> Place:
    return Place()


def test_the_second_request_with_the_same_system_prompt_makes_a_cache_and_the_third_uses_it(place: Place) -> None:
    assert [place.ask(said) for said in "abc"] == ["", "cachedContents/1", "cachedContents/1"]
    assert place.provider.made == [{"model": MODEL, "systemInstruction": SYSTEM, "tools": TOOLS, "ttl": "300s"}]
    figures = place.caches.figures()
    assert (figures.created, figures.reused, figures.renewed, figures.deleted) == (1, 2, 0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "tools": []},
        {"systemInstruction": None, "tools": None},
        {"cachedContent": "cachedContents/mine"},
    ],
    ids=["short", "none", "a cache of the program's own"],
)
def test_what_cannot_be_cached_leaves_as_it_is(place: Place, fields: Json) -> None:
    assert [place.ask(**fields) for _ in range(3)] == ["", "", ""]
    assert place.provider.told == []


def test_others_are_no_reason_to_make_a_cache(place: Place) -> None:
    for number in range(3):
        assert place.ask(systemInstruction={"parts": [{"text": f"{number}. " + SYSTEM["parts"][0]["text"]}]}) == ""
    assert place.ask(model="gemini-2.5-flash") == ""


def test_pauses_longer_than_a_cache_lives_make_none(place: Place) -> None:
    for _ in range(5):
        assert place.ask() == ""
        place.clock.now += LIFE + 1


def test_a_cache_in_use_is_renewed_in_the_second_half_of_its_life(place: Place) -> None:
    place.ask()
    for pause in (0, 100, 100, 100, 40):
        place.clock.now += pause
        assert place.ask() == "cachedContents/1"
    assert place.provider.told == [("create", MODEL), ("renew", "cachedContents/1")]


def test_one_that_ended_is_made_again_when_it_pays_again(place: Place) -> None:
    place.ask()
    assert place.ask() == "cachedContents/1"
    place.clock.now += LIFE + 1
    assert place.ask() == ""
    assert place.ask() == "cachedContents/2"


def test_closing_deletes_what_lives(place: Place) -> None:
    place.ask()
    place.ask()
    place.caches.close()
    assert place.provider.told[-1] == ("delete", "cachedContents/1")
    assert place.caches.figures().deleted == 1
    place.caches.close()
    assert len(place.provider.told) == 2


def test_storage_is_counted_for_the_time_that_a_cache_was_there(place: Place) -> None:
    place.ask()
    place.ask()
    place.clock.now += 180
    assert place.caches.figures().token_hours == pytest.approx(8_000 * 180 / 3600)
    place.caches.close()
    place.clock.now += 3600
    figures = place.caches.figures()
    assert figures.token_hours == pytest.approx(8_000 * 180 / 3600)
    assert figures.storage_usd == pytest.approx(figures.token_hours * 4.5e-6)
    left = Place()  # a program that ends without closing
    left.ask(model="gemini-2.5-flash")
    left.ask(model="gemini-2.5-flash")
    left.clock.now += 3600
    assert left.caches.figures().token_hours == pytest.approx(8_000 * LIFE / 3600)
    assert left.caches.figures().storage_usd == pytest.approx(8_000 * LIFE / 3600 * 1e-6)


def test_a_cache_that_the_provider_does_not_take_is_used_no_more(place: Place) -> None:
    place.ask()
    place.caches.refused(place.ask())
    assert [place.ask() for _ in range(3)] == ["", "", ""]
    place.clock.now += RETRY_SECONDS
    place.ask()
    assert place.ask() == "cachedContents/2"


@pytest.mark.parametrize("what", ["create", "renew", "delete"])
def test_whatever_fails_the_request_leaves(place: Place, what: str, caplog: pytest.LogCaptureFixture) -> None:
    place.provider.broken.add(what)
    place.ask()
    name = place.ask()
    place.clock.now += LIFE - 1
    assert place.ask() == name == ("" if what == "create" else "cachedContents/1")
    place.caches.close()
    assert len(caplog.records) == 1 and "RuntimeError" in caplog.text
