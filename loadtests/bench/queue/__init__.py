"""`bench queue`: how long agents stand idle while callers wait."""
