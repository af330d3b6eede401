import { compactText, priceText, signedText } from "../format";
import type { Market } from "../protocol/desk";
import { PriceChart } from "./PriceChart";
import { Flash, signClass } from "./Watchlist";

export function MarketView({ symbol, market }: { symbol: string; market: Market | undefined }) {
  const ticker = market?.ticker;
  const change = ticker?.change24h;
  return (
    <section className="panel market" aria-labelledby="market-title">
      <h2 id="market-title">
        {symbol}
        {market?.isStale && <span className="badge warn">Stale</span>}
      </h2>
      <div className="quote">
        <p className="last">
          <Flash market={market} />
          <span className={`change ${signClass(change ?? 0)}`}>
            {change === undefined ? "–" : `${signedText(change, 2)} %`}
          </span>
        </p>
        <dl>
          <Figure name="Bid" value={priceText(ticker?.bid)} />
          <Figure name="Ask" value={priceText(ticker?.ask)} />
          <Figure name="24 h high" value={priceText(ticker?.high24h)} />
          <Figure name="24 h low" value={priceText(ticker?.low24h)} />
          <Figure name="24 h volume" value={compactText(ticker?.volume24h)} />
        </dl>
      </div>
      <PriceChart history={market?.history ?? []} />
    </section>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
