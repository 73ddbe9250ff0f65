"""Outputs of real tools keep their planted facts where nothing may be left out, and never become longer."""

import json

import pytest

from benchmarks.corpus import FACTS, OUTPUTS, Output, load, missing
from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten


@pytest.mark.parametrize("output", load(), ids=lambda output: output.name)
def test_an_output_keeps_its_facts_and_becomes_no_longer(output: Output) -> None:
    tokens = count(output.text)
    context = Context(output.tool, output.arguments, output.query)
    found = shorten(output.text, tokens, LineIndex(), "", context)
    result = found.text if found else output.text
    assert count(result) <= tokens
    assert missing(output.facts, result) == []


def test_the_corpus_is_whole() -> None:
    outputs = load()
    assert len(outputs) >= 25
    assert {path.name for path in OUTPUTS.iterdir()} == set(json.loads(FACTS.read_text()))
    for output in outputs:
        assert missing(output.facts, output.text) == []
        assert missing(output.facts, "") == list(output.facts)
