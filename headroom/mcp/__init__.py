"""headroom's tools for clients that speak MCP, over standard input and output."""
