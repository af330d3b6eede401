import { describe, expect, it } from "vitest";
import {
  EMPTY_DESK,
  apply,
  conversation,
  failTurn,
  isRunning,
  withAccount,
  withLink,
  withQuestion,
  type Desk,
} from "./desk";
import type { Order, OrderStatus, Position } from "./wire";

const WELCOME = { clientId: "c", userId: "ada", epoch: "e1", userSeq: 0 };
const AT = 1_000_000;

function order(status: OrderStatus, changes: Partial<Order> = {}): Order {
  return {
    id: "o1",
    symbol: "BTC/USDT",
    side: "buy",
    type: "limit",
    quantity: "2",
    price: "100",
    status,
    filledQuantity: "0",
    averagePrice: null,
    ...changes,
  };
}

function position(status: string): Position {
  return { id: "p1", symbol: "BTC/USDT", side: "long", quantity: "2", entryPrice: "100", status, realizedPnL: "0" };
}

function priced(desk: Desk, price: number, now = AT): Desk {
  return apply(desk, "price:update", { symbol: "BTC/USDT", price }, now);
}

describe("prices", () => {
  it("rise and fall, and flash each time that they change", () => {
    const first = priced(EMPTY_DESK, 100);
    expect(first.markets["BTC/USDT"]).toMatchObject({ price: 100, direction: 0, ticks: 0 });
    const risen = priced(first, 101);
    expect(risen.markets["BTC/USDT"]).toMatchObject({ direction: 1, ticks: 1 });
    expect(priced(risen, 101).markets["BTC/USDT"]).toMatchObject({ direction: 1, ticks: 1 });
    expect(priced(risen, 99).markets["BTC/USDT"]).toMatchObject({ direction: -1, ticks: 2 });
  });

  it("are kept once a second, for three minutes", () => {
    let desk = priced(priced(EMPTY_DESK, 1, 0), 2, 900);
    expect(desk.markets["BTC/USDT"]?.history).toEqual([{ second: 0, price: 2 }]);
    for (let second = 1; second <= 400; second += 1) desk = priced(desk, second, second * 1_000);
    expect(desk.markets["BTC/USDT"]?.history).toHaveLength(180);
    expect(desk.markets["BTC/USDT"]?.history[0]).toEqual({ second: 221, price: 221 });
  });

  it("are stale when the gateway says so, until the next one", () => {
    const stale = apply(EMPTY_DESK, "price:update", { symbol: "X", price: 1, stale: true }, AT);
    expect(stale.markets["X"]?.isStale).toBe(true);
    expect(apply(stale, "price:update", { symbol: "X", price: 1 }, AT).markets["X"]?.isStale).toBe(false);
  });
});

describe("orders and positions", () => {
  it("are those of the user, not the public ones", () => {
    const own = apply(EMPTY_DESK, "order:created", { order: order("pending"), userSeq: 1, seq: 1 }, AT);
    expect(Object.keys(own.orders)).toEqual(["o1"]);
    const other = apply(own, "order:created", { order: order("pending", { id: "o2" }), seq: 2 }, AT);
    expect(other.orders).toEqual(own.orders);
    expect(apply(own, "position:opened", { position: position("open"), seq: 3 }, AT).positions).toEqual({});
  });

  it("say what happened last", () => {
    const filled = order("filled", { filledQuantity: "2", averagePrice: "99.5" });
    const told = apply(EMPTY_DESK, "order:filled", { order: filled, userSeq: 1 }, AT);
    expect(told.notice).toEqual({ text: "Buy 2 BTC/USDT: filled at 99.5", isBad: false });
    const refused = order("rejected", { rejectReason: "Needs 200 USDT" });
    const told2 = apply(told, "order:rejected", { order: refused, userSeq: 2, reason: "Needs 200 USDT" }, AT);
    expect(told2.notice).toEqual({ text: "Buy 2 BTC/USDT: rejected. Needs 200 USDT", isBad: true });
  });

  it("leave the desk when a position is closed", () => {
    const open = apply(EMPTY_DESK, "position:opened", { position: position("open"), userSeq: 1 }, AT);
    expect(Object.keys(open.positions)).toEqual(["p1"]);
    const closed = apply(open, "position:closed", { position: position("closed"), userSeq: 2 }, AT);
    expect(closed.positions).toEqual({});
  });

  it("are replaced by what the exchange holds, oldest first", () => {
    const old = apply(EMPTY_DESK, "order:created", { order: order("pending", { id: "gone" }), userSeq: 1 }, AT);
    const desk = withAccount(old, {
      orders: [order("open", { id: "late", createdAt: "2026-01-01T00:00:02.000Z" })],
      closed: [order("filled", { id: "early", createdAt: "2026-01-01T00:00:01.000Z" })],
      positions: [position("closed")],
      balances: [{ currency: "USDT", available: "1", reserved: "0", total: "1" }],
    });
    expect(Object.keys(desk.orders)).toEqual(["early", "late"]);
    expect(desk.positions).toEqual({});
    expect(desk.balances).toHaveLength(1);
  });
});

describe("a model's answer", () => {
  const asked = withQuestion(withLink(EMPTY_DESK, { state: "live" }), "s1", "Why?");
  const started = apply(asked, "llm:stream:start", { sessionId: "s1" }, AT);
  const half = ["Be", "cause"].reduce(
    (desk, token) => apply(desk, "llm:stream:token", { sessionId: "s1", token }, AT),
    started,
  );

  it("grows token by token, and ends", () => {
    expect(half.turns[0]).toMatchObject({ answer: "Because", state: "streaming" });
    const done = apply(half, "llm:stream:done", { sessionId: "s1", fullResponse: "Because" }, AT);
    expect(done.turns[0]).toMatchObject({ answer: "Because", state: "done" });
    expect(isRunning(done.turns[0])).toBe(false);
  });

  it("keeps what had come when it is cancelled, and takes no later token", () => {
    const ended = apply(half, "llm:stream:cancelled", { sessionId: "s1" }, AT);
    const late = apply(ended, "llm:stream:token", { sessionId: "s1", token: "!" }, AT);
    expect(late.turns[0]).toMatchObject({ answer: "Because", state: "cancelled" });
  });

  it("fails once, with the first error", () => {
    const failed = apply(asked, "llm:stream:error", { sessionId: "s1", error: "No provider" }, AT);
    expect(failTurn(failed, "s1", "again").turns[0]).toMatchObject({ state: "failed", error: "No provider" });
  });

  it("is interrupted when the connection is lost", () => {
    expect(withLink(half, { state: "lost" }).turns[0]).toMatchObject({ state: "interrupted" });
  });

  it("is part of the next question's conversation when it ended", () => {
    const done = apply(half, "llm:stream:done", { sessionId: "s1" }, AT);
    const failed = failTurn(withQuestion(done, "s2", "And?"), "s2", "gone");
    expect(conversation(failed.turns, "So?")).toEqual([
      { role: "user", content: "Why?" },
      { role: "assistant", content: "Because" },
      { role: "user", content: "So?" },
    ]);
  });
});

describe("a connection", () => {
  it("begins the user's numbers with its first welcome", () => {
    const desk = apply(EMPTY_DESK, "connected", { ...WELCOME, userSeq: 5 }, AT);
    expect(apply(desk, "balance:updated", { balances: [], userSeq: 7 }, AT).tally.lost).toBe(1);
  });

  it("misses nothing when the events between follow a later welcome", () => {
    let desk = apply(EMPTY_DESK, "connected", WELCOME, AT);
    desk = withLink(withLink(desk, { state: "live" }), { state: "lost" });
    desk = apply(desk, "connected", { ...WELCOME, userSeq: 1 }, AT);
    desk = apply(desk, "balance:updated", { balances: [], userSeq: 1, replayed: true }, AT);
    expect(desk.tally).toMatchObject({ lost: 0, replayed: 1 });
  });

  it("begins anew with the numbers of a resync", () => {
    let desk = apply(EMPTY_DESK, "connected", { ...WELCOME, userSeq: 40 }, AT);
    desk = apply(desk, "connected", { ...WELCOME, epoch: "e2" }, AT);
    desk = apply(desk, "resync", { reason: "epoch", userSeq: 0, epoch: "e2" }, AT);
    desk = apply(desk, "balance:updated", { balances: [], userSeq: 1 }, AT);
    expect(desk.tally).toMatchObject({ lost: 0, repeated: 0 });
    expect(desk.epoch).toBe("e2");
  });
});
