"""What is installed is what the README speaks of."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_addon_and_mitmdump_can_be_pointed_at_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("headroom_ai-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    tops = {name.split("/")[0] for name in names}
    assert {"addon", "headroom", "headroom_addon.py"} <= tops and "tests" not in tops
    assert wheel.stat().st_size < 12_000_000
    asked = [sys.executable, "-P", "-c", "import headroom_addon; print(headroom_addon.__file__)"]
    said = subprocess.run(
        asked, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")}, check=True, capture_output=True, text=True
    )
    assert Path(said.stdout.strip()) == tmp_path / "site" / "headroom_addon.py"
