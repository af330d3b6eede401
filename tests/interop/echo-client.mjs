// The stock client, driven line by line as client.mjs is, for servers that echo:
//
//   {"do": "connect", "url": "...", "options": {...}}
//   {"do": "emit", "event": "message", "args": [...]}
//   {"do": "call", "event": "message-with-ack", "args": [...]}   all of its answer is printed
//   {"do": "count", "event": "message", "to": 200}               so many events, 1, 2, 3 …
//
// {"base64": "..."} stands for bytes, both ways. A "question" of the server is answered with its
// own arguments.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

let socket;

function say(kind, fields = {}) {
  process.stdout.write(JSON.stringify({ kind, ...fields }) + "\n");
}

function pack(value) {
  if (Buffer.isBuffer(value)) return { base64: value.toString("base64") };
  if (Array.isArray(value)) return value.map(pack);
  return value;
}

function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  return value?.base64 === undefined ? value : Buffer.from(value.base64, "base64");
}

function connect({ url, options }) {
  socket = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100, ...options });
  socket.io.on("open", () => {
    socket.io.engine.once("upgrade", (upgraded) => say("upgrade", { transport: upgraded.name }));
  });
  socket.on("connect", () =>
    say("connect", { id: socket.id, transport: socket.io.engine.transport.name }),
  );
  socket.on("connect_error", (error) => say("connect_error", { message: error.message }));
  socket.on("disconnect", (reason) => say("disconnect", { reason, active: socket.active }));
  socket.io.on("reconnect", (attempt) => say("reconnect", { attempt }));
  socket.on("question", (...args) => args.pop()(...args));
  socket.onAny((event, ...args) => {
    if (event !== "question") say("event", { event, args: pack(args) });
  });
}

function count({ event, to }) {
  for (let number = 1; number <= to; number++) socket.emit(event, number);
}

const commands = {
  connect,
  count,
  emit: ({ event, args = [] }) => socket.emit(event, ...unpack(args)),
  call: ({ event, args = [] }) =>
    socket.emit(event, ...unpack(args), (...answer) =>
      say("acknowledged", { event, answer: pack(answer) }),
    ),
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
});
lines.on("close", () => {
  socket?.close();
  // A poll that the server has not answered yet must not keep the process.
  setTimeout(() => process.exit(0), 300).unref();
});
