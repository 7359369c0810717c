"""The API backend: Jina's service, or a server that speaks its protocol or OpenAI's."""
