// What a client of the ancestor system writes, against its documented events, unchanged.
// Prints each step as a JSON line and ends by itself.

import { io } from "socket.io-client";

const url = process.env.GATEWAY_URL;
const token = process.env.TOKEN;

function say(step, data) {
  process.stdout.write(JSON.stringify({ step, data }) + "\n");
}

const socket = token
  ? io(url, { auth: { token: token } })
  : io(url);

socket.on("connect", () => {
  say("connect", { id: socket.id });
});

socket.on("connect_error", (error) => {
  say("connect_error", { message: error.message });
  socket.close();
});

socket.on("connected", (data) => {
  say("connected", data);

  // Subscribe to a whole channel
  socket.emit("subscribe", { channel: "trading" });

  // Subscribe to market data for specific symbols
  socket.emit("subscribe", { channel: "market-data", symbols: ["BTC/USDT", "ETH/USDT"] });

  // Without symbols
  socket.emit("subscribe", { channel: "llm" });

  // Not a channel
  socket.emit("subscribe", { channel: "weather" });
  socket.emit("subscribe", {});

  socket.emit("unsubscribe", { channel: "market-data", symbols: ["ETH/USDT"] });
  socket.emit("unsubscribe", { channel: "trading" });
  socket.emit("get-subscriptions");
  socket.emit("ping");
});

for (const name of ["subscribed", "unsubscribed", "subscriptions", "error", "connection-count"]) {
  socket.on(name, (data) => {
    say(name, data);
  });
}

let heartbeats = 0;
let answered = false;

function leaveWhenDone() {
  if (answered && heartbeats >= 2) {
    socket.disconnect();
    say("done", {});
  }
}

socket.on("pong", (data) => {
  say("pong", data);
  answered = true;
  leaveWhenDone();
});

socket.on("heartbeat", (data) => {
  say("heartbeat", data);
  heartbeats += 1;
  leaveWhenDone();
});
