"""What this tool's own studies said of depth against width."""

# In short; `tests/scaling/test_measured.py` holds each number against the results of `python -m benchmarks studies`.
MEASURED: dict[str, str] = {}
