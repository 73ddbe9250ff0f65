"""The script for mitmproxy: ``mitmdump -s headroom_addon.py``."""

from addon import HeadroomAddon

addons = [HeadroomAddon()]
