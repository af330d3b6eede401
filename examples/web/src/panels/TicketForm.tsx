import { useState, type FormEvent } from "react";
import { amountText, priceText } from "../format";
import { hasPrice, hasStopPrice, problemsOf, type Ticket } from "../protocol/orders";
import type { Desk } from "../protocol/desk";
import type { Balance, OrderType, Side, Ticker } from "../protocol/wire";

export type Draft = Omit<Ticket, "symbol">;

interface Shown {
  symbol: string;
  ticker: Ticker | undefined;
  balances: readonly Balance[];
  notice: Desk["notice"] | undefined;
  isLive: boolean;
  draft: Draft;
  onChange: (draft: Draft) => void;
  onPlace: (ticket: Ticket) => Promise<void>;
}

const TYPES: Record<OrderType, string> = {
  limit: "Limit",
  market: "Market",
  stop: "Stop",
  stop_limit: "Stop limit",
};

export function TicketForm(shown: Shown) {
  const { symbol, ticker, balances, notice, isLive, draft, onChange, onPlace } = shown;
  const [isTried, setTried] = useState(false);
  const [isSending, setSending] = useState(false);
  const ticket: Ticket = { ...draft, symbol };
  const problems = isTried ? problemsOf(ticket) : {};
  const [base = "", quote = ""] = symbol.split("/");
  const paidIn = draft.side === "buy" ? quote : base;
  const available = balances.find(({ currency }) => currency === paidIn)?.available;

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (Object.keys(problemsOf(ticket)).length > 0) return;
    setSending(true);
    await onPlace(ticket);
    setSending(false);
    setTried(false);
  }

  return (
    <section className="panel ticket" aria-labelledby="ticket-title">
      <h2 id="ticket-title">Order {symbol}</h2>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <div className="sides" role="group" aria-label="Side">
          {(["buy", "sell"] as Side[]).map((side) => (
            <button
              key={side}
              type="button"
              className={side}
              aria-pressed={draft.side === side}
              onClick={() => onChange({ ...draft, side })}
            >
              {side === "buy" ? "Buy" : "Sell"}
            </button>
          ))}
        </div>
        <label className="field">
          <span>Type</span>
          <select
            value={draft.type}
            onChange={(event) => onChange({ ...draft, type: event.target.value as OrderType })}
          >
            {Object.entries(TYPES).map(([type, name]) => (
              <option key={type} value={type}>{name}</option>
            ))}
          </select>
        </label>
        <Amount name="Quantity" unit={base} value={draft.quantity} problem={problems.quantity}
          onChange={(quantity) => onChange({ ...draft, quantity })} />
        {hasStopPrice(draft.type) && (
          <Amount name="Stop price" unit={quote} value={draft.stopPrice} problem={problems.stopPrice}
            onChange={(stopPrice) => onChange({ ...draft, stopPrice })} />
        )}
        {hasPrice(draft.type) && (
          <Amount name="Price" unit={quote} value={draft.price} problem={problems.price}
            onChange={(price) => onChange({ ...draft, price })} />
        )}
        <dl className="facts">
          <div>
            <dt>Available</dt>
            <dd>{amountText(available, 2)} {paidIn}</dd>
          </div>
          <div>
            <dt>Value</dt>
            <dd>{valueText(ticket, ticker)} {quote}</dd>
          </div>
        </dl>
        <button type="submit" className={`send ${draft.side}`} disabled={!isLive || isSending}>
          {draft.side === "buy" ? "Buy" : "Sell"} {base}
        </button>
        <p className={`notice ${notice?.isBad ? "bad" : ""}`} role="status" data-testid="notice">
          {notice?.text}
        </p>
      </form>
    </section>
  );
}

interface AmountShown {
  name: string;
  unit: string;
  value: string;
  problem: string | undefined;
  onChange: (value: string) => void;
}

function Amount({ name, unit, value, problem, onChange }: AmountShown) {
  const id = `ticket-${name.toLowerCase().replace(" ", "-")}`;
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      <div className="amount">
        <input
          id={id}
          inputMode="decimal"
          autoComplete="off"
          value={value}
          aria-invalid={problem !== undefined}
          aria-describedby={problem === undefined ? undefined : `${id}-problem`}
          onChange={(event) => onChange(event.target.value)}
        />
        <span>{unit}</span>
      </div>
      {problem !== undefined && <p className="problem" id={`${id}-problem`}>{problem}</p>}
    </div>
  );
}

// An estimate: what the order would cost at its price, or at the best one now.
function valueText({ quantity, price, stopPrice, type, side }: Ticket, ticker: Ticker | undefined): string {
  const best = side === "buy" ? ticker?.ask : ticker?.bid;
  const at = hasPrice(type) ? Number(price) : hasStopPrice(type) ? Number(stopPrice) : best;
  const value = Number(quantity) * (at ?? Number.NaN);
  return Number.isFinite(value) && value > 0 ? `≈ ${priceText(value)}` : "–";
}
