"""``python -m jina_integrations.cli``."""

from __future__ import annotations

from . import main

main()
