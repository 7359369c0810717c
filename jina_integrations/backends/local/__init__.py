"""The local backend: a model on this machine."""
