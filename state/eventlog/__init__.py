"""What a mirror saw of the shared state, and what was decided on it, kept for later questions."""
