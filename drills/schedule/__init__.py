"""When drills are due, when none may be, and what became of each window."""
