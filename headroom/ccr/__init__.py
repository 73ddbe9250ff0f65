"""Compress, keep, retrieve: what was left out of a request can be had back."""
