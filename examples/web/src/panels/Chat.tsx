import { useEffect, useRef, useState, type FormEvent } from "react";
import { isRunning, type ChatState, type Turn } from "../protocol/desk";
import { Empty } from "./Empty";

interface Shown {
  provider: string;
  turns: readonly Turn[];
  isLive: boolean;
  onAsk: (question: string) => Promise<void>;
  onCancel: (sessionId: string) => Promise<void>;
}

const ENDS: Partial<Record<ChatState, string>> = {
  waiting: "Waiting for the first token",
  cancelled: "Cancelled",
  interrupted: "The connection broke; ask again",
};

const HINT = "Ask the model a question; its tokens arrive as they are made.";
const HINTS: Record<string, string> = {
  scripted: "The scripted model repeats your words, token by token.",
};

export function Chat({ provider, turns, isLive, onAsk, onCancel }: Shown) {
  const [question, write] = useState("");
  const log = useRef<HTMLDivElement>(null);
  const running = turns.find(isRunning);
  const length = turns.reduce((sum, turn) => sum + turn.answer.length + turn.question.length, 0);

  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [length]);

  function submit(event: FormEvent): void {
    event.preventDefault();
    const asked = question.trim();
    if (asked === "") return;
    write("");
    void onAsk(asked);
  }

  return (
    <section className="panel chat" aria-labelledby="chat-title">
      <h2 id="chat-title">Chat <span className="provider">{provider}</span></h2>
      <div className="scroll turns" ref={log} role="log" aria-label="Conversation" tabIndex={0}
        aria-busy={running !== undefined}>
        {turns.length === 0 && <Empty words={HINTS[provider] ?? HINT} />}
        {turns.map((turn) => <Exchange key={turn.sessionId} turn={turn} />)}
      </div>
      <form onSubmit={submit}>
        <label className="hidden" htmlFor="question">Question</label>
        <input
          id="question"
          value={question}
          placeholder="Ask a question"
          autoComplete="off"
          onChange={(event) => write(event.target.value)}
        />
        {running === undefined ? (
          <button type="submit" disabled={!isLive || question.trim() === ""}>Ask</button>
        ) : (
          <button type="button" className="stop" onClick={() => void onCancel(running.sessionId)}>Stop</button>
        )}
      </form>
    </section>
  );
}

function Exchange({ turn }: { turn: Turn }) {
  const end = turn.state === "failed" ? turn.error : ENDS[turn.state];
  return (
    <article className="turn" data-state={turn.state}>
      <p className="question">{turn.question}</p>
      <p className="answer">
        {turn.answer}
        {turn.state === "streaming" && <span className="caret" aria-hidden="true" />}
      </p>
      {end !== undefined && <p className={`end ${turn.state}`}>{end}</p>}
    </article>
  );
}
