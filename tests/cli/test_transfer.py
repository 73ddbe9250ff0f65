"""`headroom export` and `headroom import`: the ledger's rows, out and in again."""

import csv
import json
import stat
from pathlib import Path

import pytest

from headroom.cli import transfer
from headroom.errors import HeadroomError
from headroom.ledger import Ledger
from tests.cli.conftest import Place
from tests.cli.test_figures import row

ROWS = [
    row(30 * 86400.0, project='a, "b"\nc', client="codex"),
    row(usage=None, cost_usd=None, outcome="passed", reason="bypass"),
    row(break_part="system", break_kind="time", break_tokens=5, break_usd=0.5),
]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(folder))
    ledger = Ledger(folder / "ledger.db")
    for one in ROWS:
        ledger.record(one)
    ledger.close()
    return folder


@pytest.mark.parametrize("format", transfer.FORMATS)
def test_what_is_exported_and_imported_elsewhere_is_the_same_ledger(
    workspace: Path, format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"rows.{format}"
    transfer.export_rows(file, "", "all")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(tmp_path / "there"))
    transfer.import_rows(file, "", as_json=False)
    transfer.import_rows(file, "", as_json=True)  # again: nothing is counted twice
    said = capsys.readouterr().out
    assert "3 read, 3 of them new" in said and '"added": 0' in said
    before, after = Ledger(workspace / "ledger.db"), Ledger(tmp_path / "there" / "ledger.db")
    try:
        assert after.recent() == before.recent()
        assert after.totals() == before.totals()
    finally:
        before.close()
        after.close()


def test_to_standard_output_it_is_csv_and_since_when_can_be_said(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer.export_rows(None, "", "7d")
    told = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(told) == 2 and {one["outcome"] for one in told} == {"passed", "rewritten"}
    assert json.loads(told[0]["saved_by_strategy"]) == {"repeats": 400}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", "no json", "x.json is no json"),
        ("x.json", '{"id": 1}', "no list of exchanges"),
        ("x.json", '[{"id": "a", "time": 1}, {"id": "b"}]', "row 2 has no time"),
        ("x.json", '[{"id": "a", "time": "noon"}]', "row 1: time is 'noon'; expected a number (float)"),
        ("x.csv", "id,time,colour\na,1,red\n", "row 1 has the column 'colour'"),
        ("x.parquet", "PAR?", "x.parquet is no parquet"),
        ("x.txt", "", "does not say its format"),
    ],
)
def test_a_file_with_a_mistake_is_refused_as_a_whole(
    workspace: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(HeadroomError) as told:
        transfer.import_rows(file, "", as_json=False)
    assert said in told.value.message
    ledger = Ledger(workspace / "ledger.db")
    assert ledger.totals().requests == len(ROWS)
    ledger.close()


def test_the_command_writes_where_it_is_told(place: Place) -> None:
    ledger = Ledger(place.workspace / "ledger.db")
    ledger.record(ROWS[0])
    ledger.close()
    file = place.home / "rows.json"
    assert place.headroom("export", str(file)).stdout == f"{file} has 1 exchange\n"
    assert place.headroom("import", str(file)).stdout == "1 read, 0 of them new\n"
    assert "No such file" in place.headroom("export", "/no/such/folder/rows.csv", code=1).stderr
