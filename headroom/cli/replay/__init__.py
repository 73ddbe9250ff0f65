"""`headroom replay`: what a user's own recorded traffic would have cost with headroom."""
