// Socket.IO for Node as a target of the laboratory's scenarios: what the contract asks of
// market data, heartbeats and replies, as its documentation would have one write it; and no
// limits, no trading, no expiry. `server.mjs` is the lean peer that `make bench` measures.
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { verify } from "./tokens.mjs";

const heartbeatSeconds = Number(process.env.GATEWAY_HEARTBEAT_SECONDS ?? 30);
const prefixes = { "price:update": "price", "ticker:update": "ticker", "orderbook:update": "book" };
const now = () => new Date().toISOString();
const clockUs = () => Number(process.hrtime.bigint() / 1000n);

// The contract's id of a machine's boot and time namespace.
function clockId() {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "ascii").trim();
  const namespace = readlinkSync("/proc/self/ns/time");
  return createHash("sha256").update(`${boot} ${namespace}`).digest("hex").slice(0, 16);
}

const clock = clockId();
const epoch = String(process.pid);
const numbers = new Map();
const http = createServer(answer);
const io = new Server(http, {
  pingInterval: Number(process.env.GATEWAY_PING_INTERVAL_MS ?? 25_000),
  pingTimeout: Number(process.env.GATEWAY_PING_TIMEOUT_MS ?? 20_000),
  maxHttpBufferSize: 262_144,
  perMessageDeflate: false,
  serveClient: false,
});

io.engine.on("connection", (rawSocket) => {
  rawSocket.request = null;
});

io.use((socket, next) => {
  const claims = verify(socket.handshake.auth.token);
  if (claims === null) {
    const refusal = new Error("Authentication failed");
    refusal.data = { code: "AUTH_FAILED" };
    return next(refusal);
  }
  socket.data.userId = claims.sub;
  next();
});

// The numbers of the streams in a set of rooms, at this instant.
function marks(rooms) {
  const at = {};
  for (const room of rooms) {
    const symbol = room.split(":").slice(1).join(":");
    for (const prefix of Object.values(prefixes)) {
      at[`${prefix}:${symbol}`] = numbers.get(`${prefix}:${symbol}`) ?? 0;
    }
  }
  return at;
}

function change(socket, reply, { channel, symbols }, acknowledge) {
  const rooms = symbols?.length ? symbols.map((symbol) => `${channel}:${symbol}`) : [channel];
  if (reply === "subscribed") socket.join(rooms);
  else for (const room of rooms) socket.leave(room);
  const answer = { channel, symbols, rooms, at: marks(rooms), timestamp: now() };
  if (!symbols?.length) answer.room = channel;
  socket.emit(reply, answer);
  acknowledge?.(answer);
}

io.on("connection", (socket) => {
  const lastOf = (callbacks) => callbacks.find((argument) => typeof argument === "function");
  socket.emit("connected", {
    message: "Connected",
    clientId: socket.id,
    userId: socket.data.userId,
    timestamp: now(),
    clock,
    epoch,
    userSeq: 0,
    heartbeatInterval: heartbeatSeconds * 1000,
    limits: {},
  });
  socket.on("subscribe", (request, acknowledge) =>
    change(socket, "subscribed", request, acknowledge),
  );
  socket.on("unsubscribe", (request, acknowledge) =>
    change(socket, "unsubscribed", request, acknowledge),
  );
  socket.on("get-subscriptions", (...callbacks) => {
    const held = [...socket.rooms].filter((room) => room !== socket.id);
    const answer = { subscriptions: held, count: held.length, timestamp: now() };
    socket.emit("subscriptions", answer);
    lastOf(callbacks)?.(answer);
  });
  socket.on("ping", (...callbacks) => {
    const answer = { timestamp: now(), received: clockUs(), sent: clockUs() };
    socket.emit("pong", answer);
    lastOf(callbacks)?.(answer);
  });
});

function publish({ event, data, srcTs }) {
  const stream = `${prefixes[event]}:${data.symbol}`;
  const seq = (numbers.get(stream) ?? 0) + 1;
  const ts = clockUs();
  numbers.set(stream, seq);
  const stamps = { seq, prevSeq: seq - 1, ts, timestamp: now(), srcTs };
  io.to(["market-data", `market-data:${data.symbol}`]).emit(event, { ...data, ...stamps });
  return { stream, seq, ts };
}

function metrics() {
  return [
    `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
    `tidegate_clients ${io.engine.clientsCount}`,
    "",
  ].join("\n");
}

function reply(response, status, content) {
  const body = typeof content === "string" ? content : JSON.stringify(content);
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body) }).end(body);
}

function answer(request, response) {
  if (request.url === "/metrics") return reply(response, 200, metrics());
  if (request.url === "/api/v1/streams") {
    return reply(response, 200, { epoch, streams: Object.fromEntries(numbers) });
  }
  if (request.url !== "/api/v1/publish") return reply(response, 404, "");
  const token = request.headers.authorization?.replace(/^Bearer /, "");
  if (verify(token)?.scope !== "publish") return reply(response, 401, "");
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(parts));
    const published = (Array.isArray(body) ? body : [body]).map(publish);
    reply(response, 202, { accepted: published.length, published });
  });
}

let beats = 0;
setInterval(() => {
  beats += 1;
  io.emit("heartbeat", { timestamp: now(), ts: clockUs(), seq: beats });
}, heartbeatSeconds * 1000);

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", 4096, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
