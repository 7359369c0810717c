"""Vector stores: the contract, the locations that name one, and how to open it."""

from .base import CollectionInfo, Filters, Store, StoreCounts
from .location import StoreLocation, open_store

__all__ = [
    "CollectionInfo",
    "Filters",
    "Store",
    "StoreCounts",
    "StoreLocation",
    "open_store",
]
