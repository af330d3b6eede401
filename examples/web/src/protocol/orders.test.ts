import { describe, expect, it } from "vitest";
import { bodyOf, problemsOf, refusalIn, type Ticket } from "./orders";

const TICKET: Ticket = { symbol: "BTC/USDT", side: "buy", type: "limit", quantity: " 0.5 ", price: "100", stopPrice: "90" };

describe("a ticket", () => {
  it.each(["", "0", "0.00", "-1", "1e3", "ten", "1,5", "."])("refuses the quantity %j", (quantity) => {
    expect(problemsOf({ ...TICKET, quantity })).toHaveProperty("quantity");
  });

  it.each(["1", "0.5", ".5", "10."])("takes the quantity %j", (quantity) => {
    expect(problemsOf({ ...TICKET, quantity })).toEqual({});
  });

  it("needs the prices of its type alone", () => {
    const empty = { ...TICKET, price: "", stopPrice: "" };
    expect(problemsOf({ ...empty, type: "market" })).toEqual({});
    expect(Object.keys(problemsOf({ ...empty, type: "limit" }))).toEqual(["price"]);
    expect(Object.keys(problemsOf({ ...empty, type: "stop" }))).toEqual(["stopPrice"]);
    expect(Object.keys(problemsOf({ ...empty, type: "stop_limit" }))).toEqual(["price", "stopPrice"]);
  });

  it("becomes a body with the fields of its type, amounts as they were typed", () => {
    const body = { symbol: "BTC/USDT", side: "buy", quantity: "0.5", clientOrderId: "mine" };
    expect(bodyOf({ ...TICKET, type: "market" }, "mine")).toEqual({ ...body, type: "market" });
    expect(bodyOf(TICKET, "mine")).toEqual({ ...body, type: "limit", price: "100" });
    expect(bodyOf({ ...TICKET, type: "stop" }, "mine")).toEqual({ ...body, type: "stop", stopPrice: "90" });
  });
});

it("shows every problem that the gateway lists, and nothing of another answer", () => {
  const listed = JSON.stringify({ errors: [{ message: "price is required" }, { message: "side is required" }] });
  expect(refusalIn(listed)).toBe("price is required; side is required");
  expect(refusalIn("<html>502</html>")).toBeUndefined();
});
