"""The command line: one module a command. Bodies live elsewhere and are imported when called."""
