"""What can go wrong with the lab, each error with the way out in its message.

LabError
 +-- PlanError           the plan asks for what cannot be
 +-- EnterError          no namespaces to be had here
 +-- NetworkError        `ip`, `nft` or `tc` refused
 +-- DelayError          delay was asked for where neither netem nor a TUN device is to be had
 +-- ProcessError        a process is unknown, or did not come up
"""

from __future__ import annotations


class LabError(Exception):
    """Anything the lab refuses or cannot do."""


class PlanError(LabError):
    """The plan asks for what cannot be."""


class EnterError(LabError):
    """No namespaces are to be had on this machine."""


class NetworkError(LabError):
    """A tool that shapes the network refused."""


class DelayError(NetworkError):
    """Delay cannot be had here."""


class ProcessError(LabError):
    """A process of the lab is unknown or did not come up."""
