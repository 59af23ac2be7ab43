"""What one caller is played: a greeting and what follows it before the queue, then music.

The steps are taken one after the other by whoever owns this (`edge.calls.media`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd import call_effects as fx
from edge.media.errors import MediaError, MediaRefused
from edge.media.relay import Relay
from edge.media.rtpengine.engine import FOREVER
from state.model import CallId

log = structlog.get_logger()


class Spoken(StrEnum):
    """What a caller hears before the queue, in this order."""

    GREETING = "greeting"
    ANNOUNCEMENT = "announcement"
    """That the call is recorded."""
    CONSENT = "consent"
    """Asks for a key."""


class Sounds(Struct, frozen=True, kw_only=True):
    """The files that a call plays."""

    before: tuple[tuple[Spoken, Path], ...] = ()
    """Before the queue, one after the other."""
    music: Path
    apology: Path | None = None
    """To who is not recorded, and should be."""
    offer: Path | None = None
    """To who has waited long: whether they want to be called back."""
    notice: Path | None = None
    """To who does: that they will be."""


class Played:
    """What the relay plays to one caller."""

    def __init__(self, relay: Relay, call: CallId, sounds: Sounds) -> None:
        self._relay = relay
        self._call = call
        self._sounds = sounds
        self._left = list(sounds.before)
        self.spoken: Spoken | None = None
        """What the caller hears before the queue, the last that was begun."""
        self.spoken_s = 0.0
        """How long it lasts; 0 when it could not be played."""
        self._speaks: Path | None = None
        """What the caller hears before the queue; None: music, or nothing yet."""
        self._is_spoken_anew = False

    def set_music(self, file: Path) -> None:
        """Play this from now on to a caller who waits."""
        self._sounds = replace(self._sounds, music=file)

    @property
    def music(self) -> str:
        """The name of what is played to a caller who waits."""
        return self._sounds.music.stem

    @property
    def has_more(self) -> bool:
        """Whether there is more to hear before the queue."""
        return bool(self._left)

    async def play(self, prompt: fx.Prompt) -> None:
        """Play what is next before the queue, what is said to who waits, or music."""
        self.spoken_s = 0.0
        self._is_spoken_anew = False
        once = {fx.Prompt.OFFER: self._sounds.offer, fx.Prompt.NOTICE: self._sounds.notice}
        if prompt is fx.Prompt.GREETING and self._left:
            self.spoken, self._speaks = self._left.pop(0)
            self.spoken_s = await self._relay.play(self._call, self._speaks)
        elif prompt in once:
            self._speaks = once[prompt]
            if self._speaks is not None:
                self.spoken_s = await self._relay.play(self._call, self._speaks)
        else:
            self._speaks = None
            await self._relay.play(self._call, self._sounds.music, times=FOREVER)

    async def play_again(self) -> None:
        """Play what was playing, from its beginning: the caller's session is another."""
        try:
            if self._speaks is None:
                await self.play(fx.Prompt.MUSIC)
                return
            self.spoken_s = await self._relay.play(self._call, self._speaks)
            self._is_spoken_anew = True
        except MediaRefused:
            # Who has put us on hold does not listen; they will again when they resume.
            log.info("nobody_listens", call=self._call)

    def stop_speaking(self) -> None:
        """Take in that the caller hears somebody: what was spoken to them is not begun anew."""
        self._speaks = None

    def takes_anew(self) -> bool:
        """Tell, once, whether what is spoken has been begun anew."""
        is_anew, self._is_spoken_anew = self._is_spoken_anew, False
        return is_anew

    async def apologize(self) -> None:
        """Tell the caller that the call is not recorded; one that cannot be played is no harm."""
        if self._sounds.apology is None:
            return
        try:
            await self._relay.play(self._call, self._sounds.apology)
        except MediaError as error:
            log.warning("media_failed", call=self._call, step="apology", error=str(error))
