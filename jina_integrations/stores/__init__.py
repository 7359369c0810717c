"""Vector stores: the contract, the addresses that name one, filters, and how the core uses them."""

from .addresses import FolderAddress, ServerAddress, open_store
from .base import Capabilities, CollectionInfo, Conditions, Store
from .filters import AnyOf, Condition, Exists, Filters, NoneOf, Range

__all__ = [
    "AnyOf",
    "Capabilities",
    "CollectionInfo",
    "Condition",
    "Conditions",
    "Exists",
    "Filters",
    "FolderAddress",
    "NoneOf",
    "Range",
    "ServerAddress",
    "Store",
    "open_store",
]
