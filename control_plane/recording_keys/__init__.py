"""The keys of recordings: made for tenants and customers, given to every site, rotated, destroyed.

Nobody's endpoints are here; `control_plane/recordings` has them.
"""
