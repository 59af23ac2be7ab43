"""Ports for what a test starts: free at this moment, and most likely still so in the next."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_udp_port() -> int:
    """Return a UDP port of the loopback that nobody has."""
    return _free(socket.SOCK_DGRAM)


def free_tcp_port() -> int:
    """Return a TCP port of the loopback that nobody has."""
    return _free(socket.SOCK_STREAM)


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
