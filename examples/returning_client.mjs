// A client that comes back with what it knows, so that it misses no private event.
//
//   npm install socket.io-client
//   GATEWAY_URL=http://127.0.0.1:3000 TOKEN=... node returning_client.mjs
//
// `auth` is a function: the official client calls it for each connection, also when it
// reconnects by itself. What the client missed follows the welcome, marked `replayed`. When the
// gateway cannot send all of it, it sends `resync` and no event.

import { io } from "socket.io-client";

const known = {}; // the last `userSeq`, and the `epoch` in which it was given

const socket = io(process.env.GATEWAY_URL, {
  auth: (answer) => answer({ token: process.env.TOKEN, ...known }),
});

function say(kind, fields) {
  console.log(JSON.stringify({ kind, ...fields }));
}

socket.on("connected", ({ userSeq, epoch }) => {
  // Later welcomes change nothing: the missed events follow, or `resync`.
  if (known.epoch === undefined) Object.assign(known, { lastUserSeq: userSeq, epoch });
  say("welcome", { userSeq });
});

socket.on("resync", ({ reason, userSeq, epoch }) => {
  Object.assign(known, { lastUserSeq: userSeq, epoch });
  say("resync", { reason, userSeq }); // here: read orders, positions and balances anew
});

socket.onAny((event, payload) => {
  if (event === "connected" || event === "resync" || payload?.userSeq === undefined) return;
  known.lastUserSeq = payload.userSeq;
  say("private", { event, userSeq: payload.userSeq, replayed: payload.replayed === true });
});

socket.on("connect_error", ({ message, data }) => say("refused", { message, code: data?.code }));
