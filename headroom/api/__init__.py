"""The HTTP API on the proxy's own port: who may ask, what is answered, and the dashboard."""
