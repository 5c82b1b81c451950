"""The project run on data that nobody here wrote."""
