"""`bench media`: how long packets stay in the media relay, by number of calls."""
