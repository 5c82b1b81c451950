"""The package beside this is tested as its author would: installed, in a process of its own."""

collect_ignore = ["package"]
