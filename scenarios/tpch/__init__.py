"""TPC-H orders and line items, delivered and refreshed, and read back by DuckDB and pyarrow: `python -m scenarios.tpch`."""
