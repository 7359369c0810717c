"""Tokenizers: the protocol, the exact one, the estimate, and words."""
