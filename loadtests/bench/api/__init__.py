"""`bench api`: the control plane over HTTP, with a million customers, on SQLite and PostgreSQL."""
