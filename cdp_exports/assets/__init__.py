"""The Dagster face of deliveries: assets, partitions, resources and what a run does."""
