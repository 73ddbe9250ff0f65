"""The variables with which a client finds the proxy and trusts it."""

from collections.abc import Mapping
from pathlib import Path

from headroom.cli.authority import write_bundle

REPLACING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables whose file takes the place of all that a client trusts otherwise."""
NODE, CODEX = "NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE"
PROXY = ("HTTPS_PROXY", "https_proxy")


def client_environment(environment: Mapping[str, str], url: str, certificate: Path, workspace: Path) -> dict[str, str]:
    """``environment`` for a client that is to use the proxy at ``url``. Raises StorageError.

    It goes on trusting what the public and the files named in its own variables trust: hosts that are not a provider's
    show their real certificates.
    """
    own = [environment[name] for name in (*REPLACING, NODE, CODEX) if environment.get(name)]
    bundle = str(write_bundle(workspace, certificate, own))
    return {
        **environment,
        **dict.fromkeys(PROXY, url),
        **dict.fromkeys((*REPLACING, CODEX), bundle),
        NODE: bundle if environment.get(NODE) else str(certificate),
        "NODE_USE_ENV_PROXY": "1",
    }
