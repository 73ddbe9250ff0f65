"""The variables with which a client finds the proxy and trusts it."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from headroom.api.gate import KEY_VARIABLE
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
    url = with_key(url, environment.get(KEY_VARIABLE, "").strip())
    bundle = str(write_bundle(workspace, certificate, own))
    return {
        **environment,
        **dict.fromkeys(PROXY, url),
        **dict.fromkeys((*REPLACING, CODEX), bundle),
        NODE: bundle if environment.get(NODE) else str(certificate),
        "NODE_USE_ENV_PROXY": "1",
    }


def with_key(url: str, key: str) -> str:
    """A proxy's URL with the key that it asks for, as clients show it."""
    return url.replace("http://", f"http://headroom:{quote(key, safe='')}@", 1) if key else url
