"""All the phones of one process."""

from __future__ import annotations

import asyncio

from edge.phone.agent import Agent
from edge.phone.caller import Caller
from edge.phone.config import AgentPlan, CallerPlan, ConfigError, Plan
from edge.phone.line import Line
from edge.phone.report import Report
from edge.phone.rtp import RtpClock


class Fleet:
    """Agents, each on a SIP port of its own, and callers, who share one."""

    def __init__(self, host: str, report: Report, *, seed: int = 0) -> None:
        self._host = host
        self._seed = seed
        self._report = report
        self._clock = RtpClock()
        self._agents: dict[str, Agent] = {}
        self._serving: list[asyncio.Task[None]] = []
        self._callers: dict[asyncio.Task[None], Caller] = {}
        self._callers_line: Line | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, plan: Plan) -> None:
        """Start what `plan` says; `ConfigError` or `OSError` if that cannot be."""
        start_s = plan.start_mono_s
        if start_s is None:
            start_s = asyncio.get_running_loop().time()
        for agent in plan.agents:
            self._add_agent(agent)
        for caller in plan.callers:
            self._add_caller(caller, start_s + caller.at_s)

    def _add_agent(self, plan: AgentPlan) -> None:
        if plan.id in self._agents:
            raise ConfigError(f"phones: there is an agent `{plan.id}` already")
        line = Line(self._host, user=plan.id, port=plan.port)
        agent = Agent(plan, line, self._clock, self._report, self._seed)
        self._agents[plan.id] = agent
        task = asyncio.create_task(agent.serve())
        task.add_done_callback(self._watch)
        self._serving.append(task)

    def _add_caller(self, plan: CallerPlan, at_s: float) -> None:
        if self._callers_line is None:
            self._callers_line = Line(self._host, user="caller")
        caller = Caller(plan, self._callers_line, self._clock, self._report)
        task = asyncio.create_task(caller.run(at_s))
        self._callers[task] = caller
        task.add_done_callback(self._watch)

    def _watch(self, task: asyncio.Task[None]) -> None:
        """Pass a fault of the program on: a phone that died unseen would look like a lost call."""
        self._callers.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    @property
    def has_agents(self) -> bool:
        """Whether somebody waits for calls."""
        return bool(self._agents)

    async def callers_done(self) -> None:
        """Return when nobody calls or means to."""
        while self._callers:
            await asyncio.wait(self._callers)

    async def failed(self) -> None:
        """Raise what a phone died of; else never return."""
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Hang up everywhere, unregister, close. Once stopped, there is nothing left to stop."""
        for caller in self._callers.values():
            caller.stop()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        await asyncio.gather(*(agent.leave() for agent in self._agents.values()))
        await self.callers_done()
        if self._callers_line is not None:
            self._callers_line.close()
        self._serving.clear()
        self._agents.clear()
        self._callers_line = None
        self._failed.cancel()
