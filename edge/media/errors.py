"""What can go wrong with media. Owns the tree of errors, split by whose fault it is.

MediaError
├── MediaUnavailable   rtpengine did not answer in time: refuse with 503, or end the call
├── MediaExhausted     rtpengine has no ports or sessions left: refuse with 503
├── MediaRefused       rtpengine said no to this very request
│   ├── NotPlaying     what should be stopped was never played, or could not be
│   ├── OfferUnreadable  it cannot make sense of what was offered: 488 if a caller offered it
│   └── UnknownCall    it does not know the call or the tag (it was restarted, or timed out)
└── SdpError           the other side's session description cannot be used: 488
"""

from __future__ import annotations


class MediaError(Exception):
    """Base of all errors of this package."""


class MediaUnavailable(MediaError):  # noqa: N818 - named for the state it reports
    """rtpengine gave no answer in time."""


class MediaExhausted(MediaError):  # noqa: N818 - named for the state it reports
    """rtpengine has no room for another stream."""


class MediaRefused(MediaError):  # noqa: N818 - named for the answer it reports
    """rtpengine refused a request, and a repetition would not help."""


class NotPlaying(MediaRefused):
    """Nothing has been played to the party whose playing was to stop."""


class OfferUnreadable(MediaRefused):
    """rtpengine makes no sense of the session description in an offer, nor would another one."""


class UnknownCall(MediaRefused):
    """rtpengine does not know the call, or not the party of it that was named."""


class SdpError(MediaError):
    """A session description is malformed, or offers nothing that we can use."""
