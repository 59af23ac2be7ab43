"""The page at /docs that shows the API to people: static files over /openapi.json."""
