"""PURE. For how long an agent is kept from a caller who keys tones.

From the first tone that is heard until some time after the last. One tone alone may be a mistake,
of ours or of the caller's, and costs them little; who has keyed two is about to key more, and
looks at the card between two groups of digits.
"""

from __future__ import annotations

from typing import Final

AFTER_ONE_S: Final = 2.0
AFTER_MORE_S: Final = 4.0
LONGEST_S: Final = 60.0
"""Nobody keys a number for so long: the sound is something else, and the caller is heard again."""
APART_S: Final = 0.06
"""Between two tones that are two digits (Q.24: 40 ms or more; here in blocks of 20 ms)."""


class KeyedTones:
    """What was heard of one caller, and whether the agent is to be kept from them."""

    def __init__(self) -> None:
        self.is_keying = False
        self._began_s = 0.0
        self._last_s = 0.0
        self._digits = 0
        self._is_given_up = False
        """The limit was reached: nothing counts before it has been quiet."""

    def forget(self) -> None:
        """Begin anew: nobody is with the caller."""
        self.is_keying = self._is_given_up = False

    def hear(self, now_s: float, *, is_tone: bool) -> bool:
        """Take in what is heard now; tell whether the caller is keying."""
        quiet_s = now_s - self._last_s
        if is_tone:
            self._last_s = now_s
        if self._is_given_up:
            self._is_given_up = quiet_s < AFTER_ONE_S
            if self._is_given_up:
                return False
        if not self.is_keying:
            if is_tone:
                self.is_keying, self._began_s, self._digits = True, now_s, 1
            return self.is_keying
        if is_tone and quiet_s > APART_S:
            self._digits += 1
        if now_s - self._began_s >= LONGEST_S:
            self.is_keying, self._is_given_up = False, True
        elif not is_tone:
            self.is_keying = quiet_s < (AFTER_ONE_S if self._digits == 1 else AFTER_MORE_S)
        return self.is_keying
