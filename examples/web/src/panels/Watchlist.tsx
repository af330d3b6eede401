import { memo } from "react";
import { priceText, signedText } from "../format";
import type { Market } from "../protocol/desk";

interface Shown {
  symbols: readonly string[];
  markets: Readonly<Record<string, Market>>;
  selected: string;
  onSelect: (symbol: string) => void;
}

export function Watchlist({ symbols, markets, selected, onSelect }: Shown) {
  return (
    <section className="panel watch" aria-labelledby="watch-title">
      <h2 id="watch-title">Markets</h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Symbol</th>
              <th scope="col" className="number">Last</th>
              <th scope="col" className="number">24 h</th>
            </tr>
          </thead>
          <tbody>
            {symbols.map((symbol) => (
              <Row
                key={symbol}
                symbol={symbol}
                market={markets[symbol]}
                isSelected={symbol === selected}
                onSelect={onSelect}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface RowShown {
  symbol: string;
  market: Market | undefined;
  isSelected: boolean;
  onSelect: (symbol: string) => void;
}

const Row = memo(function Row({ symbol, market, isSelected, onSelect }: RowShown) {
  const change = market?.ticker?.change24h;
  return (
    <tr className={isSelected ? "selected" : ""} onClick={() => onSelect(symbol)}>
      <th scope="row">
        <button type="button" aria-pressed={isSelected}>{symbol}</button>
      </th>
      <td className="number">
        <Flash market={market} />
      </td>
      <td className={`number ${signClass(change ?? 0)}`}>
        {change === undefined ? "–" : `${signedText(change, 2)} %`}
      </td>
    </tr>
  );
});

// A price that lights up when it changes. The key begins the animation anew.
export function Flash({ market }: { market: Market | undefined }) {
  const direction = market?.direction ?? 0;
  const way = direction > 0 ? "rise" : direction < 0 ? "fall" : "";
  return (
    <span key={market?.ticks ?? 0} className={`flash ${way}`} data-ticks={market?.ticks ?? 0}>
      {priceText(market?.price)}
    </span>
  );
}

export function signClass(value: number): string {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}
