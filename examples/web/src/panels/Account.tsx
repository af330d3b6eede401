import { amountText, exactPriceText, signedText } from "../format";
import type { Desk } from "../protocol/desk";
import type { Position } from "../protocol/wire";
import { Empty } from "./Empty";
import { signClass } from "./Watchlist";

type Shown = Pick<Desk, "positions" | "balances" | "markets">;

export function Account({ positions, balances, markets }: Shown) {
  const open = Object.values(positions);
  return (
    <section className="panel account" aria-labelledby="account-title">
      <h2 id="account-title">Positions and balances</h2>
      <div className="scroll" role="region" aria-labelledby="account-title" tabIndex={0}>
        {open.length === 0 ? <Empty words="No open positions" /> : (
          <table className="positions">
            <thead>
              <tr>
                <th scope="col">Position</th>
                <th scope="col" className="number">Quantity</th>
                <th scope="col" className="number">Entry</th>
                <th scope="col" className="number">P&L</th>
              </tr>
            </thead>
            <tbody>
              {open.map((position) => (
                <Row key={position.id} position={position} price={markets[position.symbol]?.price} />
              ))}
            </tbody>
          </table>
        )}
        {balances.length > 0 && (
          <table className="balances">
            <thead>
              <tr>
                <th scope="col">Currency</th>
                <th scope="col" className="number">Available</th>
                <th scope="col" className="number">Reserved</th>
              </tr>
            </thead>
            <tbody>
              {balances.map(({ currency, available, reserved }) => (
                <tr key={currency}>
                  <th scope="row">{currency}</th>
                  <td className="number">{amountText(available, 4)}</td>
                  <td className="number">{amountText(reserved, 4)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}

function Row({ position, price }: { position: Position; price: number | undefined }) {
  const profit = profitOf(position, price);
  return (
    <tr data-position={position.symbol}>
      <th scope="row">{position.symbol}</th>
      <td className="number">{isShort(position) ? "−" : ""}{amountText(position.quantity, 6)}</td>
      <td className="number">{exactPriceText(position.entryPrice)}</td>
      <td className={`number ${signClass(profit ?? 0)}`}>
        {profit === undefined ? "–" : signedText(profit, 2)}
      </td>
    </tr>
  );
}

// The events value a position at its last trade; this values it at the last price. For display.
export function profitOf(position: Position, price: number | undefined): number | undefined {
  if (price === undefined) return undefined;
  const gain = (price - Number(position.entryPrice)) * Number(position.quantity);
  return isShort(position) ? -gain : gain;
}

function isShort({ side }: Position): boolean {
  return side === "short" || side === "sell";
}
