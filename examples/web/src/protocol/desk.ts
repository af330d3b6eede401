// What the page knows, and how each event changes it. No socket, no clock, no React.

import { exactPriceText } from "../format";
import {
  EMPTY_TALLY,
  beginAt,
  countEvent,
  forget,
  leaveRooms,
  type Tally,
} from "./accounting";
import type {
  Balance,
  EventName,
  Events,
  Message,
  Numbered,
  Order,
  OrderBook,
  Position,
  StreamEvent,
  Ticker,
  Trade,
} from "./wire";

export type LinkState = "connecting" | "live" | "lost" | "refused";

export interface Link {
  state: LinkState;
  // Why the gateway refused this client, for `refused`.
  reason?: string;
  transport?: string;
  // Of the last ping, in milliseconds.
  roundTrip?: number;
}

export interface Market {
  symbol: string;
  price?: number;
  // 1 after a rise, -1 after a fall.
  direction: -1 | 0 | 1;
  // Changes with each price, so that a flash begins anew.
  ticks: number;
  ticker?: Ticker;
  book?: OrderBook;
  // Whether the gateway has lost the symbol's source; the values are the last it had.
  isStale: boolean;
  // The last price of each second, oldest first.
  history: readonly { second: number; price: number }[];
}

export type ChatState = "waiting" | "streaming" | "done" | "cancelled" | "failed" | "interrupted";

export interface Turn {
  sessionId: string;
  question: string;
  answer: string;
  state: ChatState;
  error?: string;
}

export interface TapeTrade extends Trade {
  isOwn: boolean;
}

export interface Desk {
  link: Link;
  userId?: string;
  epoch?: string;
  clients?: number;
  markets: Readonly<Record<string, Market>>;
  orders: Readonly<Record<string, Order>>;
  positions: Readonly<Record<string, Position>>;
  balances: readonly Balance[];
  trades: readonly TapeTrade[];
  turns: readonly Turn[];
  tally: Tally;
  // What happened last to an own order, in words.
  notice?: { text: string; isBad: boolean };
}

// What the exchange holds of the user: open orders, and those that are done.
export interface Account {
  orders: Order[];
  closed: Order[];
  positions: Position[];
  balances: Balance[];
}

const HISTORY_SECONDS = 180;
const MOST_ORDERS = 100;
const MOST_TRADES = 50;
const RUNNING: readonly ChatState[] = ["waiting", "streaming"];

export const EMPTY_DESK: Desk = {
  link: { state: "connecting" },
  markets: {},
  orders: {},
  positions: {},
  balances: [],
  trades: [],
  turns: [],
  tally: EMPTY_TALLY,
};

// Returns the desk after an event, which came at a time in milliseconds.
export function apply<Name extends EventName>(
  desk: Desk,
  event: Name,
  payload: Events[Name],
  now: number,
): Desk {
  const change = CHANGES[event] as Change<Name>;
  const counted = countEvent(desk.tally, event, payload as Numbered);
  return change(counted === desk.tally ? desk : { ...desk, tally: counted }, payload, now);
}

export function withLink(desk: Desk, link: Link): Desk {
  if (link.state === "live" || desk.link.state !== "live") return { ...desk, link };
  // The gateway ends the streams of a client that leaves, and its rooms with it.
  const turns = desk.turns.map((turn) =>
    RUNNING.includes(turn.state) ? { ...turn, state: "interrupted" as const } : turn,
  );
  return { ...desk, link, turns, tally: leaveRooms(desk.tally) };
}

export function withAccount(desk: Desk, account: Account): Desk {
  const orders = [...account.closed, ...account.orders].sort(byTime);
  return {
    ...desk,
    orders: byId(orders.slice(-MOST_ORDERS)),
    positions: byId(account.positions.filter(isOpen)),
    balances: account.balances,
  };
}

export function withQuestion(desk: Desk, sessionId: string, question: string): Desk {
  const turn: Turn = { sessionId, question, answer: "", state: "waiting" };
  return { ...desk, turns: [...desk.turns, turn] };
}

export function withNotice(desk: Desk, text: string, isBad: boolean): Desk {
  return { ...desk, notice: { text, isBad } };
}

export function failTurn(desk: Desk, sessionId: string, error: string): Desk {
  return changeTurn(desk, sessionId, (turn) => ({ ...turn, state: "failed", error }));
}

// Returns the conversation as a model reads it: turns that ended well, then the new question.
export function conversation(turns: readonly Turn[], question: string): Message[] {
  const past = turns
    .filter(({ state, answer }) => (state === "done" || state === "cancelled") && answer !== "")
    .flatMap(({ question: asked, answer }): Message[] => [
      { role: "user", content: asked },
      { role: "assistant", content: answer },
    ]);
  return [...past, { role: "user", content: question }];
}

export function isRunning(turn: Turn | undefined): boolean {
  return turn !== undefined && RUNNING.includes(turn.state);
}

type Change<Name extends EventName> = (desk: Desk, payload: Events[Name], now: number) => Desk;
type Changes = { [Name in EventName]: Change<Name> };

const CHANGES: Changes = {
  connected: (desk, { userId, epoch, userSeq }) => {
    const isFirst = desk.epoch === undefined;
    const isOther = !isFirst && desk.epoch !== epoch;
    let tally = isOther ? forget(desk.tally) : desk.tally;
    if (isFirst) tally = beginAt(tally, { user: userSeq });
    return { ...desk, userId, epoch, tally };
  },
  resync: (desk, { userSeq, epoch }) => ({
    ...desk,
    epoch,
    tally: beginAt(desk.tally, { user: userSeq }),
  }),
  subscribed: (desk, { at }) => ({ ...desk, tally: beginAt(desk.tally, at) }),
  "connection-count": (desk, { count }) => ({ ...desk, clients: count }),
  "price:update": (desk, event, now) =>
    changeMarket(desk, event, (market) => withPrice(market, event.price, now)),
  "ticker:update": (desk, event) =>
    changeMarket(desk, event, (market) => ({ ...market, ticker: event.ticker })),
  "orderbook:update": (desk, event) =>
    changeMarket(desk, event, (market) => ({ ...market, book: event.orderBook })),
  "order:created": changeOrder,
  "order:submitted": changeOrder,
  "order:partially-filled": changeOrder,
  "order:filled": changeOrder,
  "order:cancelled": changeOrder,
  "order:rejected": changeOrder,
  "position:opened": changePosition,
  "position:updated": changePosition,
  "position:closed": changePosition,
  "trade:executed": (desk, payload) => {
    const trade = { ...payload.trade, isOwn: payload.userSeq !== undefined };
    return { ...desk, trades: [trade, ...desk.trades].slice(0, MOST_TRADES) };
  },
  "balance:updated": (desk, { balances }) => ({ ...desk, balances }),
  "llm:stream:start": (desk, { sessionId }) =>
    changeTurn(desk, sessionId, (turn) => ({ ...turn, state: "streaming" })),
  "llm:stream:token": (desk, { sessionId, token = "" }) =>
    changeTurn(desk, sessionId, (turn) => ({ ...turn, answer: turn.answer + token })),
  "llm:stream:done": (desk, { sessionId, fullResponse }) =>
    changeTurn(desk, sessionId, (turn) => ({
      ...turn,
      state: "done",
      answer: fullResponse ?? turn.answer,
    })),
  "llm:stream:cancelled": (desk, { sessionId }) =>
    changeTurn(desk, sessionId, (turn) => ({ ...turn, state: "cancelled" })),
  "llm:stream:error": (desk, event) => failTurn(desk, event.sessionId, errorOf(event)),
};

export const EVENT_NAMES = Object.keys(CHANGES) as EventName[];

function errorOf({ error, code }: StreamEvent): string {
  return error ?? code ?? "The model failed";
}

function withPrice(market: Market, price: number, now: number): Market {
  const second = Math.floor(now / 1_000);
  const last = market.history.at(-1);
  const kept = last?.second === second ? market.history.slice(0, -1) : market.history;
  const direction = market.price === undefined ? 0 : (Math.sign(price - market.price) as -1 | 0 | 1);
  return {
    ...market,
    price,
    direction: direction === 0 ? market.direction : direction,
    ticks: direction === 0 ? market.ticks : market.ticks + 1,
    history: [...kept, { second, price }].filter((point) => point.second > second - HISTORY_SECONDS),
  };
}

function changeMarket(
  desk: Desk,
  { symbol, stale }: { symbol: string; stale?: boolean },
  change: (market: Market) => Market,
): Desk {
  const held = desk.markets[symbol] ?? { symbol, direction: 0, ticks: 0, history: [] };
  const market = change({ ...held, isStale: stale === true });
  return { ...desk, markets: { ...desk.markets, [symbol]: market } };
}

// The public form of another user's order has no `userSeq`: it is not this user's.
function changeOrder(desk: Desk, payload: Numbered & { order: Order; reason?: string }): Desk {
  const { order, userSeq, reason } = payload;
  if (userSeq === undefined) return desk;
  const orders = newest({ ...desk.orders, [order.id]: order }, MOST_ORDERS);
  return { ...desk, orders, notice: noticeOf(order, reason) };
}

function noticeOf(order: Order, reason: string | undefined): { text: string; isBad: boolean } {
  const what = `${order.side === "buy" ? "Buy" : "Sell"} ${order.quantity} ${order.symbol}`;
  const state = order.status.replace("_", " ");
  const price = order.averagePrice === null ? "" : ` at ${exactPriceText(order.averagePrice)}`;
  const why = reason ?? order.rejectReason ?? "";
  const text = `${what}: ${state}${order.status.includes("filled") ? price : ""}${why && `. ${why}`}`;
  return { text, isBad: order.status === "rejected" };
}

function changePosition(desk: Desk, { position, userSeq }: Numbered & { position: Position }): Desk {
  if (userSeq === undefined) return desk;
  const { [position.id]: _, ...others } = desk.positions;
  return { ...desk, positions: isOpen(position) ? { ...others, [position.id]: position } : others };
}

function isOpen({ status }: Position): boolean {
  return status !== "closed";
}

function changeTurn(desk: Desk, sessionId: string, change: (turn: Turn) => Turn): Desk {
  const isIt = (turn: Turn) => turn.sessionId === sessionId && RUNNING.includes(turn.state);
  if (!desk.turns.some(isIt)) return desk;
  return { ...desk, turns: desk.turns.map((turn) => (isIt(turn) ? change(turn) : turn)) };
}

function byTime(one: Order, other: Order): number {
  return (one.createdAt ?? "").localeCompare(other.createdAt ?? "");
}

function byId<Row extends { id: string }>(rows: readonly Row[]): Record<string, Row> {
  return Object.fromEntries(rows.map((row) => [row.id, row]));
}

function newest<Row>(rows: Record<string, Row>, most: number): Record<string, Row> {
  const entries = Object.entries(rows);
  return entries.length <= most ? rows : Object.fromEntries(entries.slice(-most));
}
