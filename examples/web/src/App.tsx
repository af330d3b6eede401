import { useCallback, useState, useSyncExternalStore } from "react";
import { Account } from "./panels/Account";
import { Blotter } from "./panels/Blotter";
import { Chat } from "./panels/Chat";
import { Depth } from "./panels/Depth";
import { Footer, Header } from "./panels/Frame";
import { MarketView } from "./panels/MarketView";
import { TicketForm, type Draft } from "./panels/TicketForm";
import { Watchlist } from "./panels/Watchlist";
import type { Store } from "./store";

const VIEWS = ["Market", "Trade", "Orders", "Chat"] as const;
type View = (typeof VIEWS)[number];

export function App({ store }: { store: Store }) {
  const desk = useSyncExternalStore(store.watch, store.read);
  const { symbols, provider } = store.session;
  const [symbol, select] = useState(symbols[0] ?? "");
  const [view, show] = useState<View>("Market");
  const [draft, setDraft] = useState<Draft>({ side: "buy", type: "limit", quantity: "", price: "", stopPrice: "" });
  const takePrice = useCallback((price: number) => {
    setDraft((held) => ({ ...held, price: String(price) }));
  }, []);
  const choose = useCallback((other: string) => {
    select(other);
    setDraft((held) => ({ ...held, price: "", stopPrice: "" }));
  }, []);
  const market = desk.markets[symbol];
  const isLive = desk.link.state === "live";
  return (
    <div className="app" data-view={view} data-link={desk.link.state}>
      <Header desk={desk} />
      <main>
        <Watchlist symbols={symbols} markets={desk.markets} selected={symbol} onSelect={choose} />
        <MarketView symbol={symbol} market={market} />
        <Depth book={market?.book} onPrice={takePrice} />
        <TicketForm
          symbol={symbol}
          ticker={market?.ticker}
          balances={desk.balances}
          notice={desk.notice}
          isLive={isLive}
          draft={draft}
          onChange={setDraft}
          onPlace={(ticket) => store.place(ticket)}
        />
        <Blotter
          orders={desk.orders}
          trades={desk.trades}
          isLive={isLive}
          onCancel={(id) => store.cancelOrder(id)}
        />
        <Account positions={desk.positions} balances={desk.balances} markets={desk.markets} />
        <Chat
          provider={provider}
          turns={desk.turns}
          isLive={isLive}
          onAsk={(question) => store.ask(question)}
          onCancel={(id) => store.cancelAnswer(id)}
        />
      </main>
      <nav className="views" aria-label="Views">
        {VIEWS.map((name) => (
          <button key={name} type="button" aria-pressed={view === name} onClick={() => show(name)}>
            {name}
          </button>
        ))}
      </nav>
      <Footer desk={desk} />
    </div>
  );
}
