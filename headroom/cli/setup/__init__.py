"""`headroom setup`: clients that use the proxy whenever they are started, until that is undone."""
