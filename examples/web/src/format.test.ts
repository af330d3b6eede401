import { describe, expect, it } from "vitest";
import { amountText, decimalsOf, exactPriceText, priceText, signedText } from "./format";
import { scaleOf } from "./panels/PriceChart";
import { profitOf } from "./panels/Account";

describe("numbers", () => {
  it.each([
    [43_146.03, "43,146.03"],
    [134.1, "134.100"],
    [2.5, "2.50000"],
    [0.654621, "0.654621"],
    [undefined, "–"],
  ])("shows the price %j as %j", (price, text) => {
    expect(priceText(price)).toBe(text);
  });

  it("has decimals for any price", () => {
    expect([0, Number.NaN, 1e-12, 1e9].map(decimalsOf)).toEqual([2, 2, 8, 2]);
  });

  it.each([
    ["1234567.890000001234", "1,234,567.89"],
    ["123456789012345678901", "123,456,789,012,345,678,901"],
    ["0.10", "0.1"],
    ["-1234.5", "-1,234.5"],
    [null, "–"],
  ])("shows the amount %j as %j", (amount, text) => {
    expect(amountText(amount)).toBe(text);
  });

  it("shows an average price with the decimals of its size", () => {
    expect(["43257.459374", "0.1234567890", null].map(exactPriceText)).toEqual(["43,257.45", "0.123456", "–"]);
  });

  it("says in text whether a value rose or fell", () => {
    expect([1.234, -1.234, 0].map((value) => signedText(value, 2))).toEqual(["+1.23", "−1.23", "0.00"]);
  });
});

it("scales a chart around its prices, and a still market too", () => {
  const moving = scaleOf([100, 110]);
  expect(moving.low).toBeLessThan(100);
  expect(moving.high).toBeGreaterThan(110);
  const still = scaleOf([100, 100]);
  expect(still.high).toBeGreaterThan(still.low);
});

it("values a position at the last price", () => {
  const long = { id: "p", symbol: "X", side: "long", quantity: "2", entryPrice: "100", status: "open", realizedPnL: "0" };
  expect(profitOf(long, 110)).toBe(20);
  expect(profitOf({ ...long, side: "short" }, 110)).toBe(-20);
  expect(profitOf(long, undefined)).toBeUndefined();
});
