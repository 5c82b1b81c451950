"""Speed and memory against bare Polars and DuckDB, measured in the same run: `python -m benchmarks`."""
