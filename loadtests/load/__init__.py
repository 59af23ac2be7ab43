"""Load: people who call, answer, manage and look after sites that are up. Why so: decision 29."""
