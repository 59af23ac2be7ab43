"""People as Locust's users."""
