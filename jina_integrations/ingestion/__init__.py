"""Documents into a store. What is guaranteed: ``docs/ingestion.md``.

`stages` has what happens to a batch of documents, `driver` runs the stages side by side, `ledger`
asks the store what it has, and `prune` decides what has left the sources.
"""
