"""The recorder: RTP in from a fork, sealed segments out. One process a site, beside the edges.

Knows the media relay and `custody`; of calls it knows what an edge tells it. No call waits for it.
"""
