"""Delta Lake tables: deltalake reads the log, Polars reads the data files."""
