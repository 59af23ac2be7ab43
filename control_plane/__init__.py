"""The control plane: API, access control, customers, configuration.

Stands on `state`, aiohttp and an SQL database; stateless, so that any instance serves any request.
"""
