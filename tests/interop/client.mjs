// The stock client, driven line by line: a JSON command on standard input, what happens on
// standard output as JSON. Nothing of the client is replaced or configured but what the command says.
//
//   {"do": "connect", "url": "...", "options": {...}}
//   {"do": "emit", "event": "subscribe", "args": [...]}
//   {"do": "call", "event": "subscribe", "args": [...]}   answered with an "acknowledged" line
//   {"do": "raw", "messages": ["2["]}                     Engine.IO messages as they stand
//   {"do": "close"}

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

let socket;

function say(kind, fields = {}) {
  process.stdout.write(JSON.stringify({ kind, ...fields }) + "\n");
}

function transport() {
  return socket.io.engine?.transport.name;
}

function connect({ url, options }) {
  socket = io(url, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300, ...options });
  socket.io.on("open", () => {
    socket.io.engine.once("upgrade", (upgraded) => say("upgrade", { transport: upgraded.name }));
  });
  socket.on("connect", () => say("connect", { id: socket.id, transport: transport() }));
  socket.on("connect_error", (error) =>
    say("connect_error", { message: error.message, data: error.data, active: socket.active }),
  );
  socket.on("disconnect", (reason) => say("disconnect", { reason, active: socket.active }));
  socket.io.on("reconnect", (attempt) => say("reconnect", { attempt }));
  socket.onAny((event, ...args) => say("event", { event, args, transport: transport() }));
}

const commands = {
  connect,
  emit: ({ event, args = [] }) => socket.emit(event, ...args),
  call: ({ event, args = [] }) =>
    socket.emit(event, ...args, (answer) => say("acknowledged", { event, answer })),
  raw: ({ messages }) => messages.forEach((message) => socket.io.engine.write(message)),
  close: () => lines.close(),
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
});
lines.on("close", () => {
  socket?.close();
  // A poll that the gateway has not answered yet must not keep the process.
  setTimeout(() => process.exit(0), 300).unref();
});
