// The last price of each second, as a line. Drawn in percent, so that it fits any size.

import { priceText } from "../format";
import type { Market } from "../protocol/desk";

const LEAST_SECONDS = 30;
const NEAR = 7; // percent of the height at which a label would touch the mark
const MARGIN = 0.08;
const LEAST_SPAN = 0.0002; // of the price: a still market is a flat line, not noise

export interface Scale {
  low: number;
  high: number;
}

// Returns prices at the bottom and the top of the chart.
export function scaleOf(prices: readonly number[]): Scale {
  const low = Math.min(...prices);
  const high = Math.max(...prices);
  const span = Math.max(high - low, ((high + low) / 2) * LEAST_SPAN);
  const middle = (high + low) / 2;
  return { low: middle - span * (0.5 + MARGIN), high: middle + span * (0.5 + MARGIN) };
}

export function PriceChart({ history }: { history: Market["history"] }) {
  const newest = history.at(-1);
  if (newest === undefined) return <p className="chart empty">No price yet</p>;
  const { low, high } = scaleOf(history.map(({ price }) => price));
  const first = history[0] ?? newest;
  const seconds = Math.max(LEAST_SECONDS, newest.second - first.second);
  const x = (second: number) => 100 + ((second - newest.second) / seconds) * 100;
  const y = (price: number) => 100 - ((price - low) / (high - low)) * 100;
  const points = history.map(({ second, price }) => `${x(second).toFixed(2)},${y(price).toFixed(2)}`);
  const area = `${x(first.second).toFixed(2)},100 ${points.join(" ")} 100,100`;
  const ticks = [0.1, 0.5, 0.9].map((share) => low + (high - low) * share);
  return (
    <figure className="chart">
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {ticks.map((price) => (
          <line key={price} className="grid" x1="0" x2="100" y1={y(price)} y2={y(price)} />
        ))}
        <polygon points={area} />
        <polyline points={points.join(" ")} />
      </svg>
      {ticks.filter((price) => Math.abs(y(price) - y(newest.price)) > NEAR).map((price) => (
        <span key={price} className="axis" style={{ top: `${y(price)}%` }} aria-hidden="true">
          {priceText(price)}
        </span>
      ))}
      <span className="mark" style={{ top: `${y(newest.price)}%` }} aria-hidden="true">
        {priceText(newest.price)}
      </span>
      <figcaption>Last price of each second, {seconds} s</figcaption>
    </figure>
  );
}
