// The lines above and below the panels: connection, user, and what was received and lost.

import type { Desk, Link } from "../protocol/desk";

const WORDS: Record<Link["state"], string> = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  refused: "Refused",
};

export function Header({ desk }: { desk: Desk }) {
  const { link, userId, clients } = desk;
  return (
    <header>
      <h1>
        <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
          <path d="M2 8c3.3-3 6.7-3 10 0s6.7 3 10 0M2 15c3.3-3 6.7-3 10 0s6.7 3 10 0" />
        </svg>
        Tidegate
      </h1>
      <p className={`link link-${link.state}`} role="status">
        <span className="lamp" aria-hidden="true" />
        <span data-testid="link">{WORDS[link.state]}</span>
        {link.reason !== undefined && <span className="reason">{link.reason}</span>}
      </p>
      <dl>
        <div className="wide">
          <dt>Transport</dt>
          <dd>{link.transport ?? "–"}</dd>
        </div>
        <div>
          <dt>Round trip</dt>
          <dd>{link.roundTrip === undefined ? "–" : `${link.roundTrip.toFixed(1)} ms`}</dd>
        </div>
        <div className="wide">
          <dt>Clients</dt>
          <dd>{clients ?? "–"}</dd>
        </div>
        <div className="wide">
          <dt>User</dt>
          <dd>{userId ?? "–"}</dd>
        </div>
      </dl>
    </header>
  );
}

export function Footer({ desk: { tally, epoch } }: { desk: Desk }) {
  return (
    <footer>
      <dl>
        <div>
          <dt>Received</dt>
          <dd data-testid="received">{tally.received.toLocaleString("en-US")}</dd>
        </div>
        <div className={tally.lost > 0 ? "bad" : ""}>
          <dt>Lost</dt>
          <dd data-testid="lost">{tally.lost}</dd>
        </div>
        <div className={tally.repeated > 0 ? "bad" : ""}>
          <dt>Repeated</dt>
          <dd data-testid="repeated">{tally.repeated}</dd>
        </div>
        <div>
          <dt>Replayed</dt>
          <dd data-testid="replayed">{tally.replayed}</dd>
        </div>
        <div>
          <dt>Epoch</dt>
          <dd data-testid="epoch">{epoch ?? "–"}</dd>
        </div>
      </dl>
      <p>Every event is numbered; this page counts what it got and what it lost.</p>
    </footer>
  );
}
