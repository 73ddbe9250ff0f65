"""The CA that mitmproxy made: where it is, until when it is good, and the bundle that clients are given."""

import fcntl
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headroom.errors import StorageError
from headroom.paths import private_dir

CONFDIR = "~/.mitmproxy"
CERTIFICATE, KEY = "mitmproxy-ca-cert.pem", "mitmproxy-ca.pem"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate; ``fingerprint`` is SHA-256 in hex pairs."""

    path: Path
    subject: str
    fingerprint: str
    not_before: datetime
    not_after: datetime

    @property
    def is_valid(self) -> bool:
        return self.not_before <= datetime.now(UTC) < self.not_after


def certificate_path(confdir: str | None = None) -> Path:
    """The certificate in mitmproxy's folder, by default ~/.mitmproxy."""
    return Path(confdir or CONFDIR).expanduser() / CERTIFICATE


def read_authority(path: Path) -> Authority:
    """Raises StorageError when there is no certificate to read."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError as error:
        raise StorageError(f"there is no CA at {path}", {"path": str(path)}) from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} can't be read as a certificate: {error}", {"path": str(path)}) from error
    return Authority(
        path,
        found.subject.rfc4514_string(),
        found.fingerprint(hashes.SHA256()).hex(":").upper(),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )


def make_authority(confdir: str, key_size: int) -> None:
    """Make the CA if there is none. Two mitmdumps that start at once would make two, of which one is lost.

    Raises StorageError.
    """
    from mitmproxy.certs import CertStore

    folder = private_dir(Path(confdir).expanduser())
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / KEY).exists():
            CertStore.from_store(folder, "mitmproxy", key_size)
    except OSError as error:
        raise StorageError(f"no CA can be made in {folder}: {error}", {"path": str(folder)}) from error
    finally:
        os.close(handle)


def write_bundle(folder: Path, certificate: Path, others: Iterable[str]) -> Path:
    """A file in ``folder`` with certifi's authorities, those in the files ``others`` and the CA, for its owner only.

    It is named by its content: others that run with another CA or other files don't change it. Raises StorageError.
    """
    import certifi

    texts = dict.fromkeys(Path(name).expanduser() for name in (certifi.where(), *others, str(certificate)))
    path = folder
    try:
        content = b"\n".join(text.read_bytes() for text in texts if text.is_file())
        path = folder / f"ca-bundle-{hashlib.sha256(content).hexdigest()[:12]}.pem"
        if path.is_file() and path.read_bytes() == content:
            return path
        private_dir(folder)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error}", {"path": str(path)}) from error
    return path
