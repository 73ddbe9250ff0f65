"""Which clients of this shell would find the proxy, and trust its CA."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from headroom.cli.environment import CODEX, NODE, PROXY, REPLACING
from headroom.cli.finding import Finding

SYSTEM = "the system's store"
SSL, REQUESTS, CURL = REPLACING
CLIENTS: Mapping[str, tuple[str, ...]] = {
    "Claude Code": (NODE,),
    "Gemini CLI": (NODE,),
    "Codex": (CODEX, SSL, SYSTEM),
    "Python SDKs": (SSL,),
    "requests": (REQUESTS, CURL),
    "curl": (CURL, SSL, SYSTEM),
}
"""Where each looks for authorities beside its own; the first that is set counts."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def clients(certificate: Path, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Whether the clients that this shell sends to a proxy here trust its CA."""
    name = "clients"
    told = next((environment[each] for each in PROXY if environment.get(each)), "")
    if urlsplit(told).hostname not in LOOPBACK:
        return [Finding(name, "this shell sends none to a proxy here; `headroom run -- COMMAND` does it for one")]
    if not certificate.is_file():
        return []  # the CA has a check of its own
    trusting = {client: _trusts(variables, certificate, environment) for client, variables in CLIENTS.items()}
    yes = ", ".join(client for client, (trusts, _) in trusting.items() if trusts)
    no = ", ".join(client for client, (trusts, _) in trusting.items() if not trusts)
    misled: dict[str, list[str]] = {}
    for client, (trusts, where) in trusting.items():
        if not trusts and where in environment:
            misled.setdefault(where, []).append(client)
    if misled:
        return [
            Finding(
                name,
                f"{where} names {environment[where]}, which lacks the CA: {', '.join(which)} will refuse the proxy",
                f"export {where}={_remedy(where, certificate)}, or start them with `headroom run`",
            )
            for where, which in misled.items()
        ]
    if not yes:
        return [
            Finding(
                name,
                f"no client trusts the CA, and {PROXY[0]} sends them all to the proxy: {no}",
                f"export {NODE}={certificate} (and as `headroom cert show` says), or start them with `headroom run`",
            )
        ]
    return [Finding(name, f"the CA is trusted by {yes}{f'; not by {no}' if no else ''}")]


def _trusts(variables: tuple[str, ...], certificate: Path, environment: Mapping[str, str]) -> tuple[bool, str]:
    """Whether a client trusts the CA, and the place that decides it."""
    where = next((one for one in variables if one == SYSTEM or environment.get(one)), "")
    if where == SYSTEM:
        return _in_system_store(certificate), SYSTEM
    file = Path(environment[where]).expanduser() if where else None
    return file is not None and file.is_file() and certificate.read_bytes().strip() in file.read_bytes(), where


def _in_system_store(certificate: Path) -> bool:
    import ssl

    paths = ssl.get_default_verify_paths()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file = Path(paths.openssl_cafile)
    if file.is_file():
        context.load_verify_locations(cafile=str(file))
    try:
        own = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    except (ValueError, OSError):
        return False
    return own in context.get_ca_certs(binary_form=True)


def _remedy(where: str, certificate: Path) -> str:
    """A file that does: Node adds it to what it trusts, for the others it takes the place of all."""
    return str(certificate) if where == NODE else "the bundle that `headroom cert show` names"
