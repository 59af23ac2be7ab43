"""What people see of the center in a browser: static files over the API that all others use."""
