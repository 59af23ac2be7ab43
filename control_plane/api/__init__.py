"""What every feature shares: the typed route table and all that is derived from it."""
