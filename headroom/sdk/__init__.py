"""What stands between a program and its provider's SDK: the client's parts. ``headroom.client`` puts them together."""
