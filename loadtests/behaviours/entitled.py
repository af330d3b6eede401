"""The virtual user whose token allows some symbols, and later others, and then is revoked."""

from __future__ import annotations

import time
from typing import Any, Final

from locust.env import Environment

from gateway.contract import REVOKE_PATH, Channel, ClientEvent, ErrorCode, Scope, ServerEvent
from loadtests.behaviours.judged_user import refusal_of
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.connection.http_calls import HttpCalls
from loadtests.oracles.entitlements import EntitlementOracle
from loadtests.oracles.ledger import BY_SYMBOL
from loadtests.results import Event, LeakOutcome
from loadtests.tokens import USER_LIFETIME_S, mint
from scenarios.groups import EntitledGroup

_NS_PER_S: Final = 1_000_000_000
REVOKED_EACH: Final = 3
"""After this many turns, the token is revoked instead of refreshed."""
_CLOSED_WITHIN_S: Final = 2.0
"""How long the end of a revoked connection may take (contract: closing)."""
_OK: Final = 200
_ADMIN: Final = "tidegate-admin"


class Entitled(VirtualUser):
    """Subscribes to what its token allows, and tries what it does not allow.

    Its symbols are two halves. Each token allows one half, in turn. After each refresh the user
    is subscribed to the half that it lost: what of it still comes is a leak.
    """

    group = "entitled"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        group = self.run_context.scenario.users.of(EntitledGroup)
        self._every_ns = round(group.every_s * _NS_PER_S)
        symbols = self.run_context.symbols_of(self.user_id, 2 * group.symbols)
        self._halves = symbols[: group.symbols], symbols[group.symbols :]
        self._turn = 0
        self._oracle = EntitlementOracle(())
        self._is_revoked = False
        self._http = HttpCalls(str(self.host), self.tls, self.call_timeout_s)
        self._fast_path.wanted |= BY_SYMBOL  # each event is judged here

    def token(self) -> str:
        """Return a token that allows the half whose turn it is."""
        self._oracle = EntitlementOracle(self._allowed)
        self._is_revoked = False
        return self._mint()

    def subscribe_all(self) -> None:
        """Subscribe to the allowed half, and try the other one."""
        self.change(ClientEvent.SUBSCRIBE, self._allowed)
        self._try_the_other()

    def behave(self) -> bool:
        """Refresh to the other half, again and again; revoke the token now and then."""
        due_ns = time.monotonic_ns()
        while True:
            due_ns += self._every_ns
            self._wait_until(due_ns)
            if self.run_context.is_over():
                return False
            self._turn += 1
            if self._turn % REVOKED_EACH:
                self._change_halves()
            else:
                self._revoke()

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Judge whether a market event may come, and leave the rest to the account.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        if name in BY_SYMBOL and payload.get("snapshot") is not True:
            words = self._oracle.judge(payload["symbol"], payload["ts"])
            if words is not None:
                self._note_leak(LeakOutcome.UNENTITLED, f"{name} {words}")
        if name == ServerEvent.ERROR and self._is_revoked:
            return  # it tells the end that the user asked for
        super().received(stamp_ns, name, payload)

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Take the end of a revoked connection, which the user itself asked for."""
        if self._is_revoked:
            self.note(Event.DISCONNECT, stamp_ns, type(error).__name__, detail=str(error))
            self._leave(stamp_ns)
        else:
            super().lost(stamp_ns, error)

    @property
    def _allowed(self) -> list[str]:
        return self._halves[self._turn % 2]

    @property
    def _denied(self) -> list[str]:
        return self._halves[(self._turn + 1) % 2]

    def _change_halves(self) -> None:
        """Refresh with a token for the other half."""
        self._oracle.replace(self._allowed)
        self.request(ClientEvent.TOKEN_REFRESH, {"token": self._mint()})
        self._apply()
        self.subscribe_all()

    def _try_the_other(self) -> None:
        """Try to subscribe to a symbol without entitlement: the gateway must refuse it."""
        symbol = self._denied[0]
        self._recorder.count("offered")
        payload = {"channel": Channel.MARKET_DATA, "symbols": [symbol]}
        reply = self.call(ClientEvent.SUBSCRIBE, payload)
        self._recorder.count("sent")
        refusal = refusal_of(reply)
        if refusal is None:
            self._note_leak(LeakOutcome.UNENTITLED, f"{symbol}: the subscription was accepted")
        elif refusal.get("code") != ErrorCode.NOT_ALLOWED:
            self.note_error(str(refusal.get("code")), f"subscribe: {refusal.get('message')}")

    def _revoke(self) -> None:
        """Revoke the own token. The connection must end, and nothing be delivered from then on.

        Raises:
            ClientError: the connection ended, as it should.
        """
        self._oracle.replace(())
        self._is_revoked = True
        admin = mint(self.run_context.secret, _ADMIN, lifetime_s=60, scopes=[Scope.ADMIN])
        body = {"userId": self.user_id, "issuedBefore": int(time.time()) + 1}
        answer = self._http.ask("POST", REVOKE_PATH, token=admin, body=body)
        if answer.status != _OK:
            self.note_error(f"HTTP {answer.status}", f"revoke: {answer.reply.payload}")
            return
        self._wait_until(time.monotonic_ns() + round(_CLOSED_WITHIN_S * _NS_PER_S))
        self._note_leak(LeakOutcome.UNENTITLED, "the connection outlived its revoked token")
        self._apply()  # the connection stands: what still comes is a leak

    def _apply(self) -> None:
        """Ask for a moment by which the gateway had applied the last token."""
        reply = self.call(ClientEvent.PING)
        payload = reply.payload
        if isinstance(payload, dict) and isinstance(payload.get("received"), int):
            self._oracle.apply(payload["received"])

    def _mint(self) -> str:
        # A revocation names a whole second, so the token after it is of the next one.
        unix_s = time.time() + (1.0 if self._turn and not self._turn % REVOKED_EACH else 0.0)
        return mint(
            self.run_context.secret,
            self.user_id,
            lifetime_s=USER_LIFETIME_S,
            unix_s=unix_s,
            entitlements={Channel.MARKET_DATA.value: self._allowed},
        )
