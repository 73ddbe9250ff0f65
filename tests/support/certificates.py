"""A certificate authority for test servers: a certificate for whatever host name a client asks for."""

import datetime
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """``certificate`` is the file that clients have to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test provider authority")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._protocols: tuple[str, ...] = ()
        self._lock = threading.Lock()
        own = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        signed = own.add_extension(usage, True).sign(self._key, hashes.SHA256())
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server_context(self, *protocols: str) -> ssl.SSLContext:
        """A TLS context that shows each client a certificate for the name it asked for.

        ``protocols`` are what it speaks, such as h2, for all contexts of this authority.
        """
        self._protocols = protocols
        context = self._context("localhost")

        def named(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name:
                with self._lock:
                    connection.context = self._context(name)

        context.sni_callback = named
        return context

    def _context(self, name: str) -> ssl.SSLContext:
        if name not in self._contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            builder = self._builder(subject, key).add_extension(x509.BasicConstraints(False, None), True)
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            certificate = builder.add_extension(names, False).add_extension(issuer, False)
            signed = certificate.sign(self._key, hashes.SHA256())
            file = self._folder / f"server-{len(self._contexts)}.pem"
            file.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                + signed.public_bytes(serialization.Encoding.PEM)
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            context.set_alpn_protocols(self._protocols)
            self._contexts[name] = context
        return self._contexts[name]

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
