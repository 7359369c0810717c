"""What runs a model: one module for each library."""

import os

# From 1.31 on ONNX Runtime reports to its maker what runs it and where, from its import on, unless
# it is told before. Whoever wants that sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
