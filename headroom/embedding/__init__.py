"""Texts as vectors whose angle says how similar they are: the embedder that this machine has, if any."""

from headroom.embedding.choice import Embedder, embedder
from headroom.embedding.similarity import cosine

__all__ = ["Embedder", "cosine", "embedder"]
