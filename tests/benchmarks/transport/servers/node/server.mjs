// Socket.IO for Node at its leanest: `ws` with bufferutil, no compression, the handshake's
// request let go as its documentation on memory advises; tokens verified with node:crypto.
// WS_ENGINE=eiows puts that WebSocket server in the place of `ws`, where it is installed.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { verify } from "./tokens.mjs";

const heartbeatSeconds = Number(process.env.GATEWAY_HEARTBEAT_SECONDS ?? 30);
const engine = process.env.WS_ENGINE ?? "ws";
const options = {
  pingInterval: 25_000,
  pingTimeout: 20_000,
  maxHttpBufferSize: 262_144,
  perMessageDeflate: false,
  serveClient: false,
};
if (engine !== "ws") options.wsEngine = (await import(engine)).Server;

const clockUs = () => Number(process.hrtime.bigint() / 1000n);
const http = createServer(answer);
const io = new Server(http, options);
const numbers = new Map();

io.engine.on("connection", (rawSocket) => {
  rawSocket.request = null;
});

io.use((socket, next) => {
  const claims = verify(socket.handshake.auth.token);
  if (claims === null) return next(new Error("Authentication failed"));
  socket.data.userId = claims.sub;
  next();
});

io.on("connection", (socket) => {
  socket.on("subscribe", ({ channel, symbols }) => {
    const rooms = symbols?.length ? symbols.map((symbol) => `${channel}:${symbol}`) : [channel];
    socket.join(rooms);
    socket.emit("subscribed", { channel, symbols, rooms, timestamp: new Date().toISOString() });
  });
  socket.on("ping", () => {
    const received = clockUs();
    socket.emit("pong", { timestamp: new Date().toISOString(), received, sent: clockUs() });
  });
});

function publish({ room, event, data, srcTs }) {
  const prevSeq = numbers.get(room) ?? 0;
  const seq = prevSeq + 1;
  numbers.set(room, seq);
  const timestamp = new Date().toISOString();
  io.to(room).emit(event, { ...data, seq, prevSeq, ts: clockUs(), timestamp, srcTs });
}

function answer(request, response) {
  const token = request.headers.authorization?.replace(/^Bearer /, "");
  if (request.method !== "POST" || request.url !== "/api/v1/publish") {
    return response.writeHead(404).end();
  }
  if (verify(token)?.scope !== "publish") return response.writeHead(401).end();
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    publish(JSON.parse(Buffer.concat(parts)));
    response.writeHead(202, { "Content-Type": "application/json", "Content-Length": 2 }).end("{}");
  });
}

let beats = 0;
setInterval(() => {
  beats += 1;
  io.emit("heartbeat", { timestamp: new Date().toISOString(), ts: clockUs(), seq: beats });
}, heartbeatSeconds * 1000);

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", 4096, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
