// Holds the desk between events and React. It tells React once a frame, however many events came.

import {
  EMPTY_DESK,
  apply,
  conversation,
  failTurn,
  withAccount,
  withLink,
  withNotice,
  withQuestion,
  type Desk,
  type Link,
} from "./protocol/desk";
import { userNumber } from "./protocol/accounting";
import { Connection, type Listener } from "./protocol/connection";
import { Exchange, bodyOf, type Ticket } from "./protocol/orders";
import { fetchSession, type Session } from "./protocol/session";
import type { EventName, Events, Numbered } from "./protocol/wire";

type Buffered = { [Name in EventName]: [Name, Events[Name]] }[EventName];

export class Store implements Listener {
  private desk: Desk = EMPTY_DESK;
  private readonly watchers = new Set<() => void>();
  private frame: number | undefined;
  private readonly connection: Connection;
  private readonly exchange: Exchange;
  // Private events since the account was asked for; they count on top of the answer.
  private buffered: Buffered[] | undefined;

  constructor(readonly session: Session) {
    this.connection = new Connection(session, fetchSession, this);
    this.exchange = new Exchange(() => this.connection.login);
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  readonly read = (): Desk => this.desk;

  open(): void {
    this.connection.open();
  }

  close(): void {
    this.connection.close();
  }

  onEvent<Name extends EventName>(event: Name, payload: Events[Name]): void {
    if (userNumber(event, payload as Numbered) !== undefined) this.buffered?.push([event, payload] as unknown as Buffered);
    this.change(apply(this.desk, event, payload, Date.now()));
  }

  onLink(link: Link): void {
    this.change(withLink(this.desk, link));
  }

  onStale(): void {
    void this.readAccount();
  }

  async place(ticket: Ticket): Promise<void> {
    await this.attempt(() => this.exchange.place(bodyOf(ticket, crypto.randomUUID())));
  }

  async cancelOrder(orderId: string): Promise<void> {
    await this.attempt(() => this.exchange.cancel(orderId));
  }

  async ask(question: string): Promise<void> {
    const sessionId = crypto.randomUUID();
    const messages = conversation(this.desk.turns, question);
    this.change(withQuestion(this.desk, sessionId, question));
    try {
      await this.connection.ask(sessionId, messages);
    } catch (error) {
      this.change(failTurn(this.desk, sessionId, wordsOf(error)));
    }
  }

  async cancelAnswer(sessionId: string): Promise<void> {
    await this.attempt(() => this.connection.cancel(sessionId));
  }

  private async readAccount(): Promise<void> {
    const since: Buffered[] = [];
    this.buffered = since;
    await this.attempt(async () => {
      const account = await this.exchange.account();
      if (this.buffered !== since) return; // asked again meanwhile
      this.change(since.reduce(replay, withAccount(this.desk, account)));
    });
    if (this.buffered === since) this.buffered = undefined;
  }

  private async attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.change(withNotice(this.desk, wordsOf(error), true));
    }
  }

  private change(desk: Desk): void {
    this.desk = desk;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      for (const watcher of this.watchers) watcher();
    });
  }
}

// Events that were applied already change rows again, and are not counted again.
function replay(desk: Desk, [event, payload]: Buffered): Desk {
  return { ...apply(desk, event, payload as never, Date.now()), tally: desk.tally, trades: desk.trades };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
