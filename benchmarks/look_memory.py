"""What a look at 100,000 tokens through 12 blocks costs in time and memory."""

import json
import subprocess
import sys
from typing import Any

TOKENS, CONTEXT, WIDTH = 100_000, 128, 128
SCRIPT = """
import json, resource, time
import torch
import fathometer as fm
from fathometer.data import text
torch.set_num_threads(1)
model = fm.build(fm.Transformer(depth=12, width={width}, heads=4, vocabulary=256, context={context}))
data = text(context={context})
inputs, targets = (column[: {tokens} // {context} + 1] for column in (data.train_inputs, data.train_targets))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
seen = fm.look(model, (inputs, targets), kind="ridge")
found = {{"tokens": inputs.numel(), "rows_compared": seen.similarity.num_rows, "cpu_seconds": time.process_time() - start}}
found["memory_bytes_before"] = before * 1024
found["memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(found))
"""


def look_memory() -> list[dict[str, Any]]:
    """Return the peak memory of the whole process, imports included, and the processor time of the look."""
    code = SCRIPT.format(tokens=TOKENS, context=CONTEXT, width=WIDTH)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [{"blocks": 12, "width": WIDTH, **json.loads(done.stdout.splitlines()[-1])}]
