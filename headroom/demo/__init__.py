"""`python -m headroom.demo`: a coding session through a real mitmdump with the addon, and what that saved.

Nothing leaves this machine: the provider is a stand-in on loopback. What it answers is written down in advance, what
it bills follows from the bytes it gets. The figures shown are those of the ledger.
"""
