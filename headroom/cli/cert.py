"""`headroom cert`: the CA, and who is to trust it. The commands are those of certs/README.md."""

import os
import ssl
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from headroom import paths
from headroom.cli import authority
from headroom.cli.environment import CODEX, NODE, REPLACING
from headroom.cli.output import print_json
from headroom.errors import HeadroomError

MAKE = "headroom run -- true"
"""What makes a CA where there is none."""


def system_commands(certificate: Path) -> Mapping[str, tuple[str, ...]]:
    """By system: how to trust the CA, and how to take it back."""
    ca = certificate
    debian = "/usr/local/share/ca-certificates/mitmproxy.crt"
    fedora = "/etc/pki/ca-trust/source/anchors/mitmproxy.pem"
    keychain = "/Library/Keychains/System.keychain"
    return {
        "Debian, Ubuntu": (
            f"sudo cp {ca} {debian} && sudo update-ca-certificates",
            f"sudo rm {debian} && sudo update-ca-certificates --fresh",
        ),
        "Fedora, RHEL": (
            f"sudo cp {ca} {fedora} && sudo update-ca-trust",
            f"sudo rm {fedora} && sudo update-ca-trust",
        ),
        "macOS": (
            f"sudo security add-trusted-cert -d -p ssl -p basic -k {keychain} {ca}",
            f"sudo security delete-certificate -c mitmproxy -t {keychain}",
        ),
        "Windows": (
            f"certutil -user -addstore Root {ca.with_suffix('.cer')}",
            "certutil -user -delstore Root mitmproxy",
        ),
    }


def problems(certificate: Path) -> list[tuple[str, str]]:
    """What is wrong with the CA, each with its remedy; nothing when it is sound."""
    folder = certificate.parent
    try:
        found = authority.read_authority(certificate)
    except HeadroomError as error:
        if certificate.exists():
            return [(error.message, f"rm -r {folder}, then {MAKE} makes a new CA, which has to be trusted anew")]
        return [(error.message, f"{MAKE} makes one")]
    wrong = []
    if not found.is_valid:
        dates = f"{found.not_before:%Y-%m-%d} to {found.not_after:%Y-%m-%d}"
        wrong.append(
            (f"the CA is good from {dates} only", f"rm -r {folder}, then {MAKE} makes a new one, to be trusted anew")
        )
    key = folder / authority.KEY
    if not key.is_file():
        wrong.append((f"its private key {key} is missing", f"rm -r {folder}, then {MAKE} makes a new CA"))
    elif stat.S_IMODE(key.stat().st_mode) & 0o077:
        wrong.append((f"others may read its private key {key}", f"chmod 600 {key}"))
    return wrong


def cert(what: str, confdir: str | None, as_json: bool) -> int:
    """Print ``where`` it is, ``show`` it, or ``check`` it; the exit code. Raises StorageError when it can't be read."""
    path = authority.certificate_path(confdir)
    if what == "where":
        print_json({"certificate": str(path)}) if as_json else print(path)
        return 0 if path.is_file() else _missing(path)
    if what == "check":
        return _check(path, as_json)
    found = authority.read_authority(path)
    bundle = authority.write_bundle(paths.workspace_dir(), path, ())
    variables = {NODE: str(path), **dict.fromkeys((CODEX, *REPLACING), str(bundle))}
    commands = system_commands(path)
    if as_json:
        data = {
            "certificate": str(path),
            "subject": found.subject,
            "sha256": found.fingerprint,
            "not_before": found.not_before.isoformat(),
            "not_after": found.not_after.isoformat(),
            "variables": variables,
            "system": {name: {"trust": trust, "remove": remove} for name, (trust, remove) in commands.items()},
        }
        print_json(data)
        return 0
    print(f"certificate  {path}\nsubject      {found.subject}\nsha-256      {found.fingerprint}")
    print(f"valid        {found.not_before:%Y-%m-%d} to {found.not_after:%Y-%m-%d}")
    print("\nFor one process (`headroom run -- command` does it, and sets HTTPS_PROXY):")
    for name, value in variables.items():
        print(f"  {name}={value}")
    print("\nFor the system, only if you must (trust, then take back):")
    for name, (trust, remove) in commands.items():
        print(f"  {name}\n    {trust}\n    {remove}")
    return 0


def trusted_by(certificate: Path) -> dict[str, bool]:
    """Whether the system's store and the files that this environment's variables name have the CA."""
    own = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    system = ssl.create_default_context().get_ca_certs(binary_form=True) if not os.environ.get("SSL_CERT_FILE") else []
    found = {} if os.environ.get("SSL_CERT_FILE") else {"system": own in system}
    for name in (NODE, CODEX, *REPLACING):
        value = os.environ.get(name)
        if value:
            file = Path(value).expanduser()
            found[name] = file.is_file() and certificate.read_bytes().strip() in file.read_bytes()
    return found


def _check(path: Path, as_json: bool) -> int:
    wrong = problems(path)
    trusting = {} if wrong else trusted_by(path)
    if as_json:
        data = [{"problem": problem, "remedy": remedy} for problem, remedy in wrong]
        print_json({"certificate": str(path), "sound": not wrong, "problems": data, "trusted_by": trusting})
        return int(bool(wrong))
    for problem, remedy in wrong:
        print(f"wrong: {problem}\n  remedy: {remedy}")
    if not wrong:
        print(f"{path} is sound")
    for name, trusts in trusting.items():
        print(f"  {'trusted by' if trusts else 'not trusted by'} {name}")
    return int(bool(wrong))


def _missing(path: Path) -> int:
    print(f"headroom: there is no CA at {path} yet: {MAKE} makes one", file=sys.stderr)
    return 1
