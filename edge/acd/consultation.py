"""One consultation: an agent, whose caller is there, calls a colleague before handing over. PURE.

As in `edge.acd.call_state`: an event gives the next value and what is to be done. The *asker* is
the agent who talks with the caller; the *colleague* is the agent who is called, and is reserved for
that caller's call. The caller's own call is none of its business, but that it may have to end.

The laws:

- Nobody is rung without a reservation, and a reservation that was had is given back once, when the
  colleague's leg is over or has had its time; or else the colleague has been handed the caller.
- It ends when either of the two hangs up, when the caller's call goes on without the asker, or when
  the colleague has the caller. Both legs end with it, but a leg that is handed over.
- An asker who hangs up while the caller is being handed over has said all there is to say.
- A caller who is handed over while it rings is *promised*: who answers is not joined with the asker
  any more, but gets the caller.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

RELEASE_S: Final = 2.0
"""How long the colleague's leg may take to end before they are let go."""
_NOBODY: Final = 480
_NOT_WANTED: Final = 487
_AWAY: Final = 503


class Stage(StrEnum):
    """Where it stands."""

    RESERVING = "reserving"
    PREPARING = "preparing"
    """The relay is asked for a session description to offer."""
    RINGING = "ringing"
    JOINING = "joining"
    """The colleague has answered; the relay joins the two."""
    TALKING = "talking"
    HANDING = "handing"
    """The caller is being given to the colleague: the store has not said so yet."""
    HANDED = "handed"
    """The colleague is the caller's; the asker's leg is left."""
    ENDING = "ending"
    ENDED = "ended"


class Leg(StrEnum):
    """How far one of the two legs is."""

    NONE = "none"
    EARLY = "early"
    UP = "up"
    CLOSING = "closing"


# ---- what happens --------------------------------------------------------------------------------


class Reserved(Struct, frozen=True):
    """The colleague is reserved."""


class NotReserved(Struct, frozen=True, kw_only=True):
    """The colleague cannot be had: SIP's word for it, and a reason phrase."""

    status: int
    reason: str = ""


class Prepared(Struct, frozen=True, kw_only=True):
    """The relay has what is to be offered to the colleague."""

    sdp: bytes


class Joined(Struct, frozen=True, kw_only=True):
    """The relay has joined the two; `sdp` is for the asker."""

    sdp: bytes


class MediaGone(Struct, frozen=True):
    """The relay cannot, or has lost it."""


class Rings(Struct, frozen=True):
    """The colleague's telephone rings."""


class Answered(Struct, frozen=True, kw_only=True):
    """The colleague has answered; it may cross our CANCEL."""

    sdp: bytes


class ColleagueLeft(Struct, frozen=True, kw_only=True):
    """The colleague's leg is over, whoever ended it, or was refused: SIP's word for it."""

    status: int = _NOBODY
    reason: str = ""


class AskerLeft(Struct, frozen=True):
    """The asker's leg is over, whoever ended it."""


class RingTimeout(Struct, frozen=True):
    """Nobody has picked up in time."""


class ReleaseTimeout(Struct, frozen=True):
    """`RELEASE_S` have gone since it began to end."""


class HandingOver(Struct, frozen=True):
    """The asker wants the caller to go to the colleague, now or when that one answers."""


class HandedOver(Struct, frozen=True):
    """The colleague has the caller, by the store's word; their leg is the caller's call's."""


class Cut(Struct, frozen=True, kw_only=True):
    """The caller's call goes on without this, or is over."""

    why: str


Event: TypeAlias = (
    Reserved
    | NotReserved
    | Prepared
    | Joined
    | MediaGone
    | Rings
    | Answered
    | ColleagueLeft
    | AskerLeft
    | RingTimeout
    | ReleaseTimeout
    | HandingOver
    | HandedOver
    | Cut
)


# ---- what is to be done --------------------------------------------------------------------------


class Prepare(Struct, frozen=True):
    """Take the asker to the relay, and get an offer for the colleague: `Prepared`, `MediaGone`."""


class Ring(Struct, frozen=True, kw_only=True):
    """Send the INVITE, and give it the ring time."""

    sdp: bytes


class TellItRings(Struct, frozen=True):
    """Send 180 to the asker."""


class Join(Struct, frozen=True, kw_only=True):
    """Let the relay join the two: `Joined`, `MediaGone`."""

    sdp: bytes


class Answer(Struct, frozen=True, kw_only=True):
    """Answer the asker; write that the colleague talks."""

    sdp: bytes


class Refuse(Struct, frozen=True, kw_only=True):
    """Refuse the asker, whose leg is over with that."""

    status: int
    reason: str


class HangUpAsker(Struct, frozen=True, kw_only=True):
    """Say BYE: `AskerLeft` follows."""

    why: str


class HangUpColleague(Struct, frozen=True, kw_only=True):
    """Say BYE or CANCEL, as the leg is: `ColleagueLeft` follows."""

    why: str


class CloseMedia(Struct, frozen=True):
    """Take it out of the relay; comes once, and last of the media effects."""


class Free(Struct, frozen=True):
    """Give the reservation back."""


class Finished(Struct, frozen=True):
    """Nothing of it is left here."""


Effect: TypeAlias = (
    Prepare
    | Ring
    | TellItRings
    | Join
    | Answer
    | Refuse
    | HangUpAsker
    | HangUpColleague
    | CloseMedia
    | Free
    | Finished
)


class Consultation(Struct, frozen=True, kw_only=True):
    """One consultation at one moment."""

    stage: Stage = Stage.RESERVING
    asker: Leg = Leg.EARLY
    colleague: Leg = Leg.NONE
    is_reserving: bool = True
    """The store has not said yet whether the colleague is reserved."""
    is_held: bool = False
    """The colleague is reserved, and not given back."""
    is_released: bool = False
    """`ReleaseTimeout` has come."""
    is_promised: bool = False
    """The caller goes to the colleague, as soon as that one has answered."""
    status: int = _NOBODY
    """SIP's word for why it has ended."""

    @property
    def is_over(self) -> bool:
        """Whether it is ending, or has ended."""
        return self.stage in {Stage.ENDING, Stage.ENDED}


Step: TypeAlias = tuple[Consultation, tuple[Effect, ...]]


def step(before: Consultation, event: Event) -> Step:
    """Return what `event` makes of it, and what is to be done."""
    if before.stage is Stage.ENDED:
        return before, ()
    after, effects = _noted(before, event)
    if not after.is_over:
        after, more = _moved(after, event)
        effects += more
    return _settled(after, effects)


def _noted(now: Consultation, event: Event) -> Step:  # noqa: PLR0911 - one case an event
    """Take in what is true whatever the stage."""
    match event:
        case Reserved():
            return replace(now, is_reserving=False, is_held=True), ()
        case NotReserved():
            return replace(now, is_reserving=False), ()
        case AskerLeft():
            return replace(now, asker=Leg.NONE), ()
        case ColleagueLeft():
            return replace(now, colleague=Leg.NONE), ()
        case ReleaseTimeout():
            return replace(now, is_released=now.is_over), ()
        case Answered() if now.colleague is Leg.CLOSING:
            return now, (HangUpColleague(why="answered_too_late"),)
        case _:
            return now, ()


def _moved(  # noqa: C901, PLR0911, PLR0912 - one case an event
    now: Consultation, event: Event
) -> Step:
    """Go on, unless it is ending."""
    match event, now.stage:
        case Reserved(), Stage.RESERVING:
            return replace(now, stage=Stage.PREPARING), (Prepare(),)
        case NotReserved(status=status, reason=reason), _:
            return _ended(now, status, reason)
        case Prepared(sdp=sdp), Stage.PREPARING:
            return replace(now, stage=Stage.RINGING, colleague=Leg.EARLY), (Ring(sdp=sdp),)
        case Rings(), Stage.RINGING:
            return now, (TellItRings(),) if now.asker is Leg.EARLY else ()
        case Answered(), Stage.RINGING if now.is_promised:
            return replace(now, stage=Stage.HANDING, colleague=Leg.UP), ()
        case Answered(sdp=sdp), Stage.RINGING:
            return replace(now, stage=Stage.JOINING, colleague=Leg.UP), (Join(sdp=sdp),)
        case Joined(), Stage.JOINING if now.is_promised:
            return replace(now, stage=Stage.HANDING), ()
        case Joined(sdp=sdp), Stage.JOINING:
            return replace(now, stage=Stage.TALKING, asker=Leg.UP), (Answer(sdp=sdp),)
        case RingTimeout(), Stage.RINGING:
            return _ended(now, _NOBODY, "no_answer")
        case HandingOver(), Stage.TALKING:
            return replace(now, stage=Stage.HANDING), ()
        case HandingOver(), _ if now.stage in _BEFORE_TALK:
            return replace(now, is_promised=True), ()
        case HandedOver(), Stage.HANDING:
            return replace(now, stage=Stage.HANDED, colleague=Leg.NONE, is_held=False), ()
        case MediaGone(), Stage.PREPARING | Stage.JOINING:
            return _ended(now, _AWAY, "media_lost")
        case ColleagueLeft(status=status, reason=reason), _ if now.stage is not Stage.HANDED:
            return _ended(now, status, reason or "colleague_hung_up")
        case AskerLeft(), _ if not (now.is_promised or now.stage in {Stage.HANDING, Stage.HANDED}):
            return _ended(now, _NOBODY, "asker_hung_up")
        case Cut(why=why), _:
            return _ended(now, _NOT_WANTED, why)
        case _:
            return now, ()


_BEFORE_TALK: Final = {Stage.RESERVING, Stage.PREPARING, Stage.RINGING, Stage.JOINING}


def _ended(now: Consultation, status: int, why: str) -> Step:
    effects: list[Effect] = []
    if now.asker is Leg.EARLY:
        effects.append(Refuse(status=status, reason=why))
        now = replace(now, asker=Leg.NONE)
    elif now.asker is Leg.UP:
        effects.append(HangUpAsker(why=why))
        now = replace(now, asker=Leg.CLOSING)
    if now.colleague in {Leg.EARLY, Leg.UP}:
        effects.append(HangUpColleague(why=why))
        now = replace(now, colleague=Leg.CLOSING)
    return replace(now, stage=Stage.ENDING, status=status), (*effects, CloseMedia())


def _settled(now: Consultation, effects: tuple[Effect, ...]) -> Step:
    """Give the reservation back when it is due, and see whether anything is left."""
    if now.stage is not Stage.ENDING:
        return now, effects
    if now.is_held and (now.colleague is Leg.NONE or now.is_released):
        now, effects = replace(now, is_held=False), (*effects, Free())
    is_left = now.is_held or now.is_reserving or {now.asker, now.colleague} != {Leg.NONE}
    if is_left:
        return now, effects
    return replace(now, stage=Stage.ENDED), (*effects, Finished())
