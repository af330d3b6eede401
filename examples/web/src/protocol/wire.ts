// What the gateway sends and takes, as docs/events.md has it. Money and quantities of orders,
// trades, positions and balances are decimal texts; market data are numbers.

export interface Numbered {
  seq?: number;
  prevSeq?: number;
  userSeq?: number;
  ts?: number;
  timestamp?: string;
  snapshot?: true;
  replayed?: true;
}

export interface Welcome {
  clientId: string;
  userId: string;
  epoch: string;
  userSeq: number;
}

export interface Resync {
  reason: string;
  userSeq: number;
  epoch: string;
}

interface MarketUpdate extends Numbered {
  symbol: string;
  // The source of the symbol is lost; the value is the last one.
  stale?: boolean;
}

export interface PriceUpdate extends MarketUpdate {
  price: number;
}

export interface Ticker {
  symbol: string;
  price: number;
  bid: number;
  ask: number;
  volume24h: number;
  change24h: number;
  high24h: number;
  low24h: number;
}

export interface TickerUpdate extends MarketUpdate {
  ticker: Ticker;
}

export interface Level {
  price: number;
  size: number;
  total: number;
}

export interface OrderBook {
  symbol: string;
  bids: Level[];
  asks: Level[];
}

export interface OrderBookUpdate extends MarketUpdate {
  orderBook: OrderBook;
}

export type Side = "buy" | "sell";
export type OrderType = "market" | "limit" | "stop" | "stop_limit";
export type OrderStatus =
  | "pending"
  | "submitted"
  | "open"
  | "partially_filled"
  | "filled"
  | "cancelled"
  | "rejected"
  | "expired";

export interface Order {
  id: string;
  clientOrderId?: string | null;
  symbol: string;
  side: Side;
  type: OrderType;
  quantity: string;
  price: string | null;
  stopPrice?: string | null;
  status: OrderStatus;
  filledQuantity: string;
  averagePrice: string | null;
  rejectReason?: string | null;
  createdAt?: string;
}

export interface Position {
  id: string;
  symbol: string;
  side: string;
  quantity: string;
  entryPrice: string;
  status: string;
  realizedPnL: string;
}

export interface Trade {
  id: string;
  orderId?: string;
  symbol: string;
  side: Side;
  quantity: string;
  price: string;
  value: string;
  executedAt: string;
}

export interface Balance {
  currency: string;
  available: string;
  reserved: string;
  total: string;
}

export interface Message {
  role: "user" | "assistant";
  content: string;
}

export interface StreamEvent extends Numbered {
  sessionId: string;
  token?: string;
  fullResponse?: string;
  tokenCount?: number;
  error?: string;
  code?: string;
}

export interface Refusal {
  message: string;
  code: string;
  retryAfter?: number;
}

export interface Subscribed {
  channel: string;
  rooms: string[];
  at: Record<string, number>;
}

// Every event of the desk with its payload. An event that is not listed is ignored.
export interface Events {
  connected: Welcome;
  resync: Resync;
  subscribed: Subscribed;
  "connection-count": { count: number };
  "price:update": PriceUpdate;
  "ticker:update": TickerUpdate;
  "orderbook:update": OrderBookUpdate;
  "order:created": Numbered & { order: Order };
  "order:submitted": Numbered & { order: Order };
  "order:partially-filled": Numbered & { order: Order };
  "order:filled": Numbered & { order: Order };
  "order:cancelled": Numbered & { order: Order; reason?: string };
  "order:rejected": Numbered & { order: Order; reason?: string };
  "position:opened": Numbered & { position: Position };
  "position:updated": Numbered & { position: Position };
  "position:closed": Numbered & { position: Position };
  "trade:executed": Numbered & { trade: Trade };
  "balance:updated": Numbered & { balances: Balance[] };
  "llm:stream:start": StreamEvent;
  "llm:stream:token": StreamEvent;
  "llm:stream:done": StreamEvent;
  "llm:stream:cancelled": StreamEvent;
  "llm:stream:error": StreamEvent;
}

export type EventName = keyof Events;
