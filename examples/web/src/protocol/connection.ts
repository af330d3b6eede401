// One connection to the gateway, by the official client, which comes back by itself. Each time the
// client names the last private event that it has seen, so that it misses none.

import { io, type Socket } from "socket.io-client";
import { EVENT_NAMES, type Link } from "./desk";
import { userNumber } from "./accounting";
import type { EventName, Events, Message, Numbered, Refusal, Welcome } from "./wire";
import type { Session } from "./session";

const ANSWER_MS = 10_000;
const PING_EVERY_MS = 5_000;

export interface Listener {
  onEvent<Name extends EventName>(event: Name, payload: Events[Name]): void;
  onLink(link: Link): void;
  // After the first welcome, and when missed events cannot be replayed: read everything anew.
  onStale(): void;
}

interface Known {
  lastUserSeq?: number;
  epoch?: string;
}

export class Connection {
  private readonly socket: Socket;
  private readonly known: Known = {};
  private link: Link = { state: "connecting" };
  private pings: number | undefined;

  constructor(
    private session: Session,
    private readonly renew: () => Promise<Session>,
    private readonly listener: Listener,
  ) {
    this.socket = io(session.gateway, {
      autoConnect: false,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
      // The client calls this for each connection, also when it returns by itself.
      auth: (answer) => {
        void this.freshToken().then((token) => answer({ token, ...this.known }));
      },
    });
    this.listen();
  }

  get login(): { gateway: string; token: string } {
    return this.session;
  }

  open(): void {
    this.socket.connect();
  }

  close(): void {
    window.clearInterval(this.pings);
    this.socket.disconnect();
  }

  // Asks a model; its tokens come as events. Fails when the gateway refuses the request.
  async ask(sessionId: string, messages: Message[]): Promise<void> {
    await this.call("llm:chat:stream", { sessionId, provider: this.session.provider, messages });
  }

  async cancel(sessionId: string): Promise<void> {
    await this.call("llm:stream:cancel", { sessionId });
  }

  private listen(): void {
    const { socket } = this;
    socket.on("connect", () => void this.begin());
    socket.on("connected", (welcome: Welcome) => {
      if (this.known.epoch !== undefined) return; // the missed events follow, or `resync`
      this.remember(welcome.userSeq, welcome.epoch);
      this.listener.onStale();
    });
    socket.on("resync", ({ userSeq, epoch }: Events["resync"]) => {
      this.remember(userSeq, epoch);
      this.listener.onStale();
    });
    socket.on("token:expiring", () => void this.refresh());
    socket.on("disconnect", (reason) => this.lose(reason));
    socket.on("connect_error", (error) => {
      this.tell(socket.active ? { state: "lost" } : { state: "refused", reason: error.message });
    });
    socket.onAny((event: string, payload: Numbered | undefined) => {
      if (!EVENT_NAMES.includes(event as EventName) || payload === undefined) return;
      this.listener.onEvent(event as EventName, payload as never);
      const number = userNumber(event, payload);
      if (number !== undefined) this.known.lastUserSeq = number;
    });
  }

  private async begin(): Promise<void> {
    this.tell({ state: "live", ...this.transport() });
    window.clearInterval(this.pings);
    this.pings = window.setInterval(() => void this.measure(), PING_EVERY_MS);
    try {
      await this.call("subscribe", { channel: "market-data", symbols: this.session.symbols });
      await this.call("subscribe", { channel: "trading" });
      await this.measure();
    } catch (error) {
      // A connection that broke is lost already, and begins again.
      if (this.socket.connected) this.tell({ state: "refused", reason: String(error) });
    }
  }

  private async measure(): Promise<void> {
    const sent = performance.now();
    try {
      await this.call("ping", undefined);
    } catch {
      return; // lost meanwhile; the client notices by itself
    }
    this.tell({ state: "live", ...this.transport(), roundTrip: performance.now() - sent });
  }

  private async call(event: string, payload: unknown): Promise<unknown> {
    const answer = (await this.socket.timeout(ANSWER_MS).emitWithAck(event, payload)) as {
      error?: Refusal;
    };
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return answer;
  }

  private async refresh(): Promise<void> {
    try {
      await this.call("token:refresh", { token: await this.freshToken() });
    } catch {
      // The gateway closes the connection when the old token expires, and says so.
    }
  }

  // The token of the last time serves when the page's server is away.
  private async freshToken(): Promise<string> {
    try {
      this.session = await this.renew();
    } catch {
      // The gateway decides whether the old token is still good.
    }
    return this.session.token;
  }

  private lose(reason: Socket.DisconnectReason): void {
    window.clearInterval(this.pings);
    const isFinal = reason === "io server disconnect";
    this.tell(isFinal ? { state: "refused", reason: "The gateway closed the connection" } : { state: "lost" });
  }

  private remember(lastUserSeq: number, epoch: string): void {
    Object.assign(this.known, { lastUserSeq, epoch });
  }

  private transport(): { transport?: string } {
    const name = this.socket.io.engine?.transport?.name;
    return name === undefined ? {} : { transport: name };
  }

  private tell(link: Link): void {
    this.link = link.state === "live" ? { ...this.link, ...link } : link;
    this.listener.onLink(this.link);
  }
}
