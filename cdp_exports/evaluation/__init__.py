"""Who is in a segment and what is sent of them: compiled segments, evaluated by DuckDB over frames of the sources."""
