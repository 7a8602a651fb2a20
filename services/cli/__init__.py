"""The `smsfleet` command, one module a group of subcommands."""
