"""kill -9 in the middle of requests: what a marker promised can be had, and no block leaves in another form."""

from pathlib import Path

from benchmarks.soak import soak


def test_every_marker_ever_sent_can_be_retrieved_whenever_the_proxy_was_killed(store_url: str, tmp_path: Path) -> None:
    found = soak(tmp_path, requests=100, every=25, url=store_url)
    assert found.requests >= 100 and found.restarts >= 3
    assert len(found.markers) > 40
    assert found.lost == set() and found.changed == 0
