// Every stream is numbered, so a client can tell what it lost. This module counts it.

import type { Numbered } from "./wire";

export interface Tally {
  // The last number of each stream; a stream without one has not begun.
  last: Readonly<Record<string, number>>;
  received: number;
  lost: number;
  repeated: number;
  replayed: number;
}

export const EMPTY_TALLY: Tally = { last: {}, received: 0, lost: 0, repeated: 0, replayed: 0 };

// Counts an event of a stream. `before` is the number that must come before this one.
export function count(tally: Tally, stream: string, number: number, before: number): Tally {
  const known = tally.last[stream];
  const received = tally.received + 1;
  if (known !== undefined && number <= known) {
    return { ...tally, received, repeated: tally.repeated + 1 };
  }
  const lost = known === undefined ? 0 : Math.max(0, before - known);
  return {
    ...tally,
    received,
    lost: tally.lost + lost,
    last: { ...tally.last, [stream]: number },
  };
}

// Begins streams at the numbers that the gateway named: nothing older is owed.
export function beginAt(tally: Tally, numbers: Record<string, number>): Tally {
  return { ...tally, last: { ...tally.last, ...numbers } };
}

// Forgets all numbers: they compare within an epoch alone.
export function forget(tally: Tally): Tally {
  return { ...tally, last: {} };
}

// Forgets the streams of rooms that a closed connection had joined; the user's own goes on.
export function leaveRooms(tally: Tally): Tally {
  const user = tally.last["user"];
  return { ...tally, last: user === undefined ? {} : { user } };
}

const SYMBOL_KINDS: Record<string, string> = {
  "price:update": "price",
  "ticker:update": "ticker",
  "orderbook:update": "book",
};

// These name the user's last number; they are no events of the user's stream.
const NAMING = ["connected", "resync"];

// Returns the number of an event in the user's own stream.
export function userNumber(event: string, { userSeq }: Numbered): number | undefined {
  return NAMING.includes(event) ? undefined : userSeq;
}

// Counts whatever numbers an event carries. A snapshot is not a delivery.
export function countEvent(tally: Tally, event: string, payload: Numbered & { symbol?: string }): Tally {
  const { seq, prevSeq, symbol } = payload;
  const userSeq = userNumber(event, payload);
  let counted = payload.replayed ? { ...tally, replayed: tally.replayed + 1 } : tally;
  if (payload.snapshot) return counted;
  const kind = SYMBOL_KINDS[event];
  if (kind !== undefined) {
    if (seq === undefined || symbol === undefined) return counted;
    return count(counted, `${kind}:${symbol}`, seq, prevSeq ?? seq - 1);
  }
  if (userSeq !== undefined) counted = count(counted, "user", userSeq, userSeq - 1);
  if (seq !== undefined && isTrading(event) && !payload.replayed) {
    const both = count(counted, "trading", seq, seq - 1);
    // An owner's event carries two numbers and is one delivery.
    counted = userSeq === undefined ? both : { ...both, received: counted.received };
  }
  return counted;
}

function isTrading(event: string): boolean {
  return /^(order|position|trade):/.test(event);
}
