"""What this tool's own studies said of depth against width."""

# Their sentences in short; `tests/scaling/test_measured.py` holds each number against the results of `python -m benchmarks studies`.
MEASURED: dict[str, str] = {}
