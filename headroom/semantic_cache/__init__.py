"""Answering a question from the answer to the same, or very nearly the same, question. Off unless it is asked for."""

from headroom.semantic_cache.cache import Answer, SemanticCache, open_cache
from headroom.semantic_cache.questions import Question, question

__all__ = ["Answer", "Question", "SemanticCache", "open_cache", "question"]
