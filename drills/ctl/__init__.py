"""`./everline ctl`: all that the API does, from the terminal. An HTTP client like any other."""
