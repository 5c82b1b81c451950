"""When deliveries run."""
