import { describe, expect, it } from "vitest";
import { EMPTY_TALLY, beginAt, countEvent, forget, leaveRooms, type Tally } from "./accounting";

const PRICE = "price:update";

function after(tally: Tally, ...events: [string, Parameters<typeof countEvent>[2]][]): Tally {
  return events.reduce((sum, [event, payload]) => countEvent(sum, event, payload), tally);
}

describe("a symbol's stream", () => {
  const begun = beginAt(EMPTY_TALLY, { "price:BTC": 10 });

  it("counts what follows without loss", () => {
    const { received, lost, repeated } = after(
      begun,
      [PRICE, { symbol: "BTC", seq: 11, prevSeq: 10 }],
      [PRICE, { symbol: "BTC", seq: 12, prevSeq: 11 }],
    );
    expect({ received, lost, repeated }).toEqual({ received: 2, lost: 0, repeated: 0 });
  });

  it("counts each number that is missing as lost", () => {
    expect(after(begun, [PRICE, { symbol: "BTC", seq: 14, prevSeq: 13 }]).lost).toBe(3);
  });

  it("does not count conflated numbers as lost", () => {
    expect(after(begun, [PRICE, { symbol: "BTC", seq: 14, prevSeq: 10 }]).lost).toBe(0);
  });

  it("counts a number that comes again", () => {
    const event: [string, object] = [PRICE, { symbol: "BTC", seq: 11, prevSeq: 10 }];
    expect(after(begun, event, event).repeated).toBe(1);
  });

  it("does not count a snapshot", () => {
    expect(after(begun, [PRICE, { symbol: "BTC", seq: 10, snapshot: true }])).toEqual(begun);
  });

  it("is not another symbol's, nor another event's", () => {
    const { lost } = after(
      begun,
      [PRICE, { symbol: "ETH", seq: 90, prevSeq: 89 }],
      ["ticker:update", { symbol: "BTC", seq: 50, prevSeq: 49 }],
    );
    expect(lost).toBe(0);
  });
});

describe("the user's and the public stream", () => {
  const begun = beginAt(EMPTY_TALLY, { user: 4, trading: 7 });

  it("count an event that carries both numbers once", () => {
    const tally = after(begun, ["order:filled", { userSeq: 5, seq: 8 }]);
    expect(tally).toMatchObject({ received: 1, lost: 0, last: { user: 5, trading: 8 } });
  });

  it("find a gap in each", () => {
    expect(after(begun, ["order:filled", { userSeq: 7, seq: 8 }]).lost).toBe(2);
    expect(after(begun, ["order:filled", { userSeq: 5, seq: 10 }]).lost).toBe(2);
  });

  it("count a replayed event, and close its gap", () => {
    const tally = after(
      begun,
      ["order:filled", { userSeq: 5, seq: 8, replayed: true }],
      ["balance:updated", { userSeq: 6 }],
    );
    expect(tally).toMatchObject({ received: 2, replayed: 1, lost: 0 });
  });
});

it("keeps the user's number when rooms are left, and nothing in another epoch", () => {
  const tally = beginAt(EMPTY_TALLY, { user: 4, trading: 7, "price:BTC": 1 });
  expect(leaveRooms(tally).last).toEqual({ user: 4 });
  expect(forget(tally).last).toEqual({});
});
