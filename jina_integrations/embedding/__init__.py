"""From texts to vectors: the embedder that users hold, and what it does."""
