"""Headroom inside other frameworks: LiteLLM (extra ``litellm``) and LangChain (extra ``langchain``)."""
