"""From texts to vectors: the embedder that users hold, and its engine."""
