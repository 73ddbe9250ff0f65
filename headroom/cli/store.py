"""Which store the commands use: the one that the proxy would."""

from pathlib import Path

from headroom.stores.remote import store_url


def chosen_store() -> str:
    """The shared store's URL; "" is the embedded one. Raises ConfigurationError.

    As for the proxy, mitmproxy's config.yaml wins over HEADROOM_STORE_URL.
    """
    folder = Path("~/.mitmproxy").expanduser()
    if not any((folder / name).is_file() for name in ("config.yaml", "config.yml")):
        return store_url()  # mitmproxy itself takes a while to load
    from headroom.cli.settings import options

    return store_url(str(options().headroom_store))
