import { memo } from "react";
import { decimalsOf, fixed, priceText, sizeText } from "../format";
import type { Level, OrderBook } from "../protocol/wire";

const LEVELS = 10;

interface Shown {
  book: OrderBook | undefined;
  onPrice: (price: number) => void;
}

export const Depth = memo(function Depth({ book, onPrice }: Shown) {
  const bids = book?.bids.slice(0, LEVELS) ?? [];
  const asks = book?.asks.slice(0, LEVELS) ?? [];
  const deepest = Math.max(1e-12, ...[...bids, ...asks].map(({ total }) => total));
  const [bid, ask] = [bids[0]?.price, asks[0]?.price];
  const hasSpread = bid !== undefined && ask !== undefined;
  return (
    <section className="panel depth" aria-labelledby="depth-title">
      <h2 id="depth-title">Depth</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Price</th>
            <th scope="col" className="number">Size</th>
            <th scope="col" className="number">Total</th>
          </tr>
        </thead>
        <tbody className="asks">
          {[...asks].reverse().map((level, place) => (
            <Row key={asks.length - place} level={level} side="ask" deepest={deepest} onPrice={onPrice} />
          ))}
        </tbody>
        <tbody className="spread">
          <tr>
            <td colSpan={3}>
              {hasSpread
                ? `Spread ${fixed(ask - bid, decimalsOf(ask))} · ${(((ask - bid) / ask) * 10_000).toFixed(1)} bp`
                : "No book yet"}
            </td>
          </tr>
        </tbody>
        <tbody className="bids">
          {bids.map((level, place) => (
            <Row key={place} level={level} side="bid" deepest={deepest} onPrice={onPrice} />
          ))}
        </tbody>
      </table>
    </section>
  );
});

interface RowShown {
  level: Level;
  side: "bid" | "ask";
  deepest: number;
  onPrice: (price: number) => void;
}

function Row({ level, side, deepest, onPrice }: RowShown) {
  const share = `${((level.total / deepest) * 100).toFixed(1)}%`;
  return (
    <tr style={{ "--share": share } as React.CSSProperties}>
      <td>
        <button type="button" onClick={() => onPrice(level.price)} title={`Use this ${side} in the ticket`}>
          {priceText(level.price)}
        </button>
      </td>
      <td className="number">{sizeText(level.size)}</td>
      <td className="number">{sizeText(level.total)}</td>
    </tr>
  );
}
