"""Copies of this site's recordings at other sites: brought there, counted when checked.

Each recording of this site's store has to be in another site's, too. One that nobody is known to
have goes to the first site that takes it: its recorder keeps it, reads it back, and says what it
has. Only if that is what was sent, and the manifest has arrived last, does it count as copied. Both
may die at any point: everything is made once under its name, and sent again for nothing.

It counts for as long as that site has that store. Whoever set up a store anew is brought again what
was there: by its own recorder what that has brought there before, and by others what they had from
this site itself. That goes behind what nobody ever had, and at `AGAIN_BYTES_S` at most.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import aiohttp
import structlog
from obstore.exceptions import BaseError

from custody import manifest
from custody.errors import CustodyError
from custody.manifest import Manifest
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from edge.recorder.ledger import Copy, Ledger
from edge.recorder.peers import NotKeptError, NotTakenError, NotYetError, Peers, client
from edge.recorder.receiving import Kept
from state.discreet import fault
from state.wake import Wake

PERIOD_S: Final = 5.0
RETRY_S: Final = 3.0
ASK_S: Final = 5.0
"""Between two questions which store a site has; one that does not say is asked as often."""
MOST_IN_A_ROW: Final = 3
"""So many that the store does not give, or none keeps, and it is the store that is away."""
AGAIN_BYTES_S: Final = 2_000_000
"""What is copied again leaves the line between sites to calls and to what is new."""
MOST_AGAIN: Final = AGAIN_BYTES_S * PERIOD_S
"""Bytes that may be copied again in one turn."""
LOOK_AGAIN_S: Final = 60.0
"""How soon a manifest that could not be read is read anew: it may have been put right since."""

log = structlog.get_logger()


class _Due(NamedTuple):
    """A recording that is nowhere else, as far as is known."""

    samples: int
    site: str = ""
    """Where it was before; empty: nowhere, or nobody knows."""
    is_again: bool = False


class Replicator:
    """Sends each recording of this site's store to the first of `peers` that takes it."""

    def __init__(  # noqa: PLR0913 - two ends, and how they know each other
        self,
        *,
        store: RecordingStore,
        recorder: str,
        recorders: Mapping[str, bytes],
        peers: Sequence[str],
        tls: ssl.SSLContext,
        ledger: Ledger,
    ) -> None:
        """Note in `ledger` what has been counted as replicated; `recorder` is this site's name."""
        self._store = store
        self._recorder = recorder
        self._recorders = recorders
        self._tls = tls
        self._ledger = ledger
        self._passed_over: dict[str, float] = {}
        """What the store has and this recorder cannot read, and when it is looked at again."""
        self._due: dict[tuple[str, str], _Due] = {}
        """By tenant and recording."""
        self._stuck: dict[str, str] = {}
        """Why a recording has not been copied although a site is there, as it was said last."""
        self._not_given: set[tuple[str, str]] = set()
        """Tenant and recording of what the store has, and did not give when it was last asked, or
        no other site's has kept."""
        self._again_left = MOST_AGAIN
        """Bytes that may be copied again at once."""
        self._again_at_s = time.monotonic()
        self._wake = Wake()
        self._peers = Peers(peers, ledger, self._wake.set)
        self.is_failing = False

    @property
    def count(self) -> int:
        """How many of this recorder's recordings another site has."""
        return sum(
            each.recorder == self._recorder and self._stands(each)
            for each in self._ledger.copies.values()
        )

    @property
    def uncounted(self) -> Mapping[str, int]:
        """The recordings that the store has and no other site: for how many samples."""
        return {recording: due.samples for (_, recording), due in self._due.items()}

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        async with client(self._tls) as session:
            await self._peers.ask(session)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_asking(session))
                group.create_task(self._keep_sending(session))

    async def _keep_sending(self, session: aiohttp.ClientSession) -> None:
        while True:
            pause_s = PERIOD_S
            try:
                await self._send_new(session)
                self.is_failing = False
            except (OSError, BaseError, aiohttp.ClientError, TimeoutError) as error:
                if not self.is_failing:
                    log.warning("not_replicated", **fault(error))
                self.is_failing, pause_s = True, RETRY_S
            await self._wake.wait(pause_s)

    async def _keep_asking(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.sleep(ASK_S)
            await self._peers.ask(session)

    def _stands(self, copy: Copy) -> bool:
        """Tell whether a copy counts."""
        if not self._ledger.stands(copy):
            return False
        # What this recorder has made is looked after by it alone: also where a site is given up.
        is_own = copy.recorder == self._recorder
        return not (is_own and self._peers.are_all_known) or copy.site in {
            each.site for each in self._peers.told.values()
        }

    # ---- what is to be sent ----------------------------------------------------------------------

    async def _send_new(self, session: aiohttp.ClientSession) -> None:
        # All that is due is known before the first is sent, which may be the one that nobody takes.
        self._due = await self._look()
        await self._ledger.tidy()
        due = {recording for _, recording in self._due}
        self._stuck = {each: told for each, told in self._stuck.items() if each in due}
        here = await self._here() if due else None
        failed: BaseError | NotKeptError | None = None
        not_kept: dict[str, str] = {}
        in_a_row, began_s, is_taken = 0, time.monotonic(), False
        for each in self._in_turn():
            if self._due[each].is_again and not self._may_again(began_s):
                break
            try:
                await self._send(session, each, here)
            except (BaseError, NotKeptError) as error:
                self._not_given.add(each)
                failed, in_a_row = error, in_a_row + 1
                if isinstance(error, NotKeptError):
                    not_kept[each[1]] = str(error)
                if in_a_row == MOST_IN_A_ROW:
                    break
            else:
                self._not_given.discard(each)
                in_a_row, is_taken = 0, True
        self._not_given &= self._due.keys()
        if is_taken:
            for recording, because in not_kept.items():
                self._say_stuck(recording, because)
        if failed is not None:
            raise failed

    async def _here(self) -> Kept | None:
        """Return where this site's own are; None: the store does not say, or is full."""
        try:
            return Kept(site=self._recorder, store=await self._store.identity())
        except (OSError, BaseError):
            return None

    def _in_turn(self) -> list[tuple[str, str]]:
        """Return what is due: what nobody ever had, then the others.

        What was not given the last time comes behind: it may never be.
        """
        fresh: list[tuple[str, str]] = []
        late: list[tuple[str, str]] = []
        again: list[tuple[str, str]] = []
        for each, due in self._due.items():
            of = again if due.is_again else late if each in self._not_given else fresh
            of.append(each)
        again.sort(key=self._not_given.__contains__)
        return [*fresh, *late, *again]

    def _may_again(self, began_s: float) -> bool:
        """Tell whether more may be copied again in this turn, which others wait for the end of."""
        now_s = time.monotonic()
        more = (now_s - self._again_at_s) * AGAIN_BYTES_S
        self._again_left = min(self._again_left + more, MOST_AGAIN)
        self._again_at_s = now_s
        return self._again_left > 0 and now_s - began_s < PERIOD_S

    async def _look(self) -> dict[tuple[str, str], _Due]:
        """Return what the store has and has not been counted; what is gone from it is not due."""
        due: dict[tuple[str, str], _Due] = {}
        in_a_row, now_s = 0, time.monotonic()
        noted = len(self._ledger.copies)
        for tenant in await self._store.tenants():
            async for recording in self._store.manifests(tenant):
                name, each = f"{tenant}/{recording}", (tenant, recording)
                copy = self._ledger.copies.get(name)
                if copy is not None:
                    noted -= 1
                    if not self._stands(copy):
                        due[each] = _Due(copy.samples, copy.site, is_again=True)
                elif self._passed_over.get(name, now_s) > now_s:
                    continue
                elif each in self._due:
                    due[each] = self._due[each]
                elif in_a_row < MOST_IN_A_ROW:  # else the store is away
                    try:
                        await self._take_up(due, tenant, recording)
                        in_a_row = 0
                    except BaseError:
                        # Nobody knows how long it is, or whose: it is to be sent, behind others.
                        due[each] = _Due(0)
                        self._not_given.add(each)
                        in_a_row += 1
        self._forget_passed(now_s)
        if noted > 0:
            await self._forget_gone()
        return due

    def _forget_passed(self, now_s: float) -> None:
        """Forget what was to be looked at again by now: it has been deleted, or was whole."""
        self._passed_over = {name: at_s for name, at_s in self._passed_over.items() if at_s > now_s}

    async def _forget_gone(self) -> None:
        """Forget where copies are of what was deleted here."""
        gone = set(self._ledger.copies)  # what is noted from now on may come after it was looked at
        for tenant in await self._store.tenants():
            gone -= {f"{tenant}/{each}" async for each in self._store.manifests(tenant)}
        self._ledger.forget(gone)

    async def _take_up(self, due: dict[tuple[str, str], _Due], tenant: str, recording: str) -> None:
        """Note a recording that is new here, or of which this life does not know where it is."""
        try:
            account = await self._account(tenant, recording)
        except FileNotFoundError:
            return  # it was deleted at this moment
        if account is None:
            self._passed_over[f"{tenant}/{recording}"] = time.monotonic() + LOOK_AGAIN_S
        elif account.recorder == self._recorder:
            due[tenant, recording] = _Due(account.samples)
        else:
            due[tenant, recording] = _Due(account.samples, account.recorder, is_again=True)

    async def _account(self, tenant: str, recording: str) -> Manifest | None:
        """Return the account of a recording; None: it is none that a recorder has written."""
        signed = await self._store.get(manifest_name(tenant, recording))
        try:
            return manifest.read(signed, self._recorders)
        except CustodyError as error:
            if f"{tenant}/{recording}" not in self._passed_over:  # else it has been said
                log.error("manifest_not_sent", call=recording, because=str(error))  # noqa: TRY400 - one line
            return None

    # ---- sending ---------------------------------------------------------------------------------

    async def _send(
        self, session: aiohttp.ClientSession, which: tuple[str, str], here: Kept | None
    ) -> None:
        tenant, recording = which
        try:
            account = await self._account(tenant, recording)
        except FileNotFoundError:
            return  # it was deleted since: the next look leaves it out
        if account is None:
            self._passed_over[f"{tenant}/{recording}"] = time.monotonic() + LOOK_AGAIN_S
            self._ledger.forget([f"{tenant}/{recording}"])
            self._due.pop(which, None)
            return
        names = [
            name
            for segment in account.segments
            for name in (
                key_name(tenant, recording, segment.number),
                audio_name(tenant, recording, segment),
            )
        ]
        last: Exception = ConnectionError("no peer")
        is_away, due = True, self._due[which]
        for peer, told in self._peers.in_order(due.site):
            try:
                for name in (*names, manifest_name(tenant, recording)):
                    await self._bring(session, peer, name, here)
            except (NotTakenError, FileNotFoundError) as error:
                is_away = False  # the next turn tries again; others do not wait for it
                self._say_stuck(recording, str(error))
                if isinstance(error, NotYetError) and told.site == due.site:
                    break  # it is brought back to where it was
                continue
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                # That a site is there tells more than that another is away.
                last = last if isinstance(last, NotKeptError) else error
                self._peers.note_failed(peer)
                continue
            self._note(account, told)
            log.info("recording_replicated", call=recording, peer=peer)
            return
        if is_away:
            raise last

    def _say_stuck(self, recording: str, because: str) -> None:
        if because and self._stuck.get(recording) != because:
            self._stuck[recording] = because
            log.error("recording_not_copied", call=recording, because=because)

    async def _bring(
        self, session: aiohttp.ClientSession, peer: str, name: str, here: Kept | None
    ) -> None:
        if "/audio/" in name and await self._peers.has(session, peer, name):
            return
        content = await self._store.get(name)
        self._again_left = max(self._again_left - len(content), -MOST_AGAIN)
        await self._peers.put(session, peer, name, content, here)

    def _note(self, account: Manifest, told: Kept) -> None:
        copy = Copy(
            recorder=account.recorder, site=told.site, store=told.store, samples=account.samples
        )
        self._ledger.note(f"{account.tenant}/{account.recording}", copy)
        self._due.pop((account.tenant, account.recording), None)
