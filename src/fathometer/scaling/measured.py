"""What this tool's own studies said of depth against width."""

# Word for word out of their answers; `tests/scaling/test_measured.py` holds them against benchmarks/results/studies.json.
MEASURED: dict[str, str] = {
    "study depth-or-width": (
        "To err half as often as guessing, one layer needs 4.3 times the data at equal parameters and 3.8 times the data at "
        "equal flops of what 3 layers need. On the task without hierarchy depth buys nothing (the best is 30 layers deep)."
    ),
    "study transfer": (
        "completep: 8 times the depth alone moves the best rate by -0.43 octaves (-0.91 to +0.15), 4 times the width alone by "
        "-0.57 octaves (-1.18 to +0.55)."
    ),
}
