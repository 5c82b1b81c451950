"""What segments and their exports mean, as checked SQL. Nothing here reads data."""
