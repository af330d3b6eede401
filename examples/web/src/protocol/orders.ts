// Orders go to the gateway over HTTP; what becomes of them comes back as events.

import type { Account } from "./desk";
import type { OrderType, Side } from "./wire";

export interface Ticket {
  symbol: string;
  side: Side;
  type: OrderType;
  quantity: string;
  price: string;
  stopPrice: string;
}

export type OrderBody = Record<string, string>;

const PRICED: readonly OrderType[] = ["limit", "stop_limit"];
const STOPPED: readonly OrderType[] = ["stop", "stop_limit"];
const AMOUNT = /^(?:\d+\.?\d*|\.\d+)$/;
const PATH = "/api/v1/orders";

export function hasPrice(type: OrderType): boolean {
  return PRICED.includes(type);
}

export function hasStopPrice(type: OrderType): boolean {
  return STOPPED.includes(type);
}

// Returns what is wrong with a ticket, by field; nothing when it can be sent.
export function problemsOf(ticket: Ticket): Partial<Record<"quantity" | "price" | "stopPrice", string>> {
  const problems: ReturnType<typeof problemsOf> = {};
  if (!isAmount(ticket.quantity)) problems.quantity = "Enter an amount above 0";
  if (hasPrice(ticket.type) && !isAmount(ticket.price)) problems.price = "Enter a price above 0";
  if (hasStopPrice(ticket.type) && !isAmount(ticket.stopPrice)) {
    problems.stopPrice = "Enter a price above 0";
  }
  return problems;
}

export function bodyOf(ticket: Ticket, clientOrderId: string): OrderBody {
  const { symbol, side, type, quantity, price, stopPrice } = ticket;
  return {
    symbol,
    side,
    type,
    quantity: quantity.trim(),
    ...(hasPrice(type) ? { price: price.trim() } : {}),
    ...(hasStopPrice(type) ? { stopPrice: stopPrice.trim() } : {}),
    clientOrderId,
  };
}

function isAmount(text: string): boolean {
  return AMOUNT.test(text.trim()) && /[1-9]/.test(text);
}

export class Exchange {
  constructor(private readonly login: () => { gateway: string; token: string }) {}

  async place(body: OrderBody): Promise<void> {
    await this.request("POST", PATH, body);
  }

  async cancel(orderId: string): Promise<void> {
    await this.request("DELETE", `${PATH}/${encodeURIComponent(orderId)}`);
  }

  async account(): Promise<Account> {
    return (await this.request("GET", PATH)) as Account;
  }

  private async request(method: string, path: string, body?: OrderBody): Promise<unknown> {
    const { gateway, token } = this.login();
    const answer = await fetch(`${gateway}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(refusalIn(text) ?? `The gateway answered ${answer.status}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}

// Returns the problems that an answer lists, in one line.
export function refusalIn(text: string): string | undefined {
  try {
    const { errors } = JSON.parse(text) as { errors?: { message: string }[] };
    return errors?.map(({ message }) => message).join("; ");
  } catch {
    return undefined; // a proxy's page, not the gateway's answer
  }
}
