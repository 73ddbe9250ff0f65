"""The ``headroom`` command. ``main`` has what is typed, one file each what a command does; no file loads what it may
not need, for ``headroom --help`` is to be there at once."""
