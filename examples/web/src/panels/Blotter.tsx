import { memo, useState } from "react";
import { amountText, exactPriceText, timeText } from "../format";
import type { Desk } from "../protocol/desk";
import type { Order, OrderStatus } from "../protocol/wire";
import { Empty } from "./Empty";

interface Shown {
  orders: Desk["orders"];
  trades: Desk["trades"];
  isLive: boolean;
  onCancel: (orderId: string) => Promise<void>;
}

const OPEN: readonly OrderStatus[] = ["pending", "submitted", "open", "partially_filled"];
const STATUS: Record<OrderStatus, string> = {
  pending: "Pending",
  submitted: "Open", // it rests: no event follows until something happens to it
  open: "Open",
  partially_filled: "Part filled",
  filled: "Filled",
  cancelled: "Cancelled",
  rejected: "Rejected",
  expired: "Expired",
};
const TABS = ["Orders", "Trades"] as const;

export const Blotter = memo(function Blotter({ orders, trades, isLive, onCancel }: Shown) {
  const [tab, show] = useState<(typeof TABS)[number]>("Orders");
  const rows = Object.values(orders).reverse();
  const open = rows.filter(({ status }) => OPEN.includes(status)).length;
  return (
    <section className="panel blotter" aria-label="Orders and trades">
      <div className="tabs" role="group" aria-label="Table">
        {TABS.map((name) => (
          <button key={name} type="button" aria-pressed={tab === name} onClick={() => show(name)}>
            {name}
            {name === "Orders" && open > 0 && <span className="badge">{open} open</span>}
          </button>
        ))}
      </div>
      <div className="scroll" role="region" aria-label={tab} tabIndex={0}>
        {tab === "Orders" ? (
          <Orders rows={rows} isLive={isLive} onCancel={onCancel} />
        ) : (
          <Trades trades={trades} />
        )}
      </div>
    </section>
  );
});

function Orders({ rows, isLive, onCancel }: { rows: Order[] } & Pick<Shown, "isLive" | "onCancel">) {
  if (rows.length === 0) return <Empty words="No orders yet" />;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" className="extra">Time</th>
          <th scope="col">Symbol</th>
          <th scope="col">Side</th>
          <th scope="col" className="extra">Type</th>
          <th scope="col" className="number">Price</th>
          <th scope="col" className="number">Filled / quantity</th>
          <th scope="col">Status</th>
          <th scope="col" className="action"><span className="hidden">Action</span></th>
        </tr>
      </thead>
      <tbody>
        {rows.map((order) => (
          <tr key={order.id} data-order={order.id} data-status={order.status}>
            <td className="extra">{timeText(order.createdAt)}</td>
            <th scope="row">{order.symbol}</th>
            <td className={`side ${order.side === "buy" ? "up" : "down"}`}>{order.side}</td>
            <td className="kind extra">{order.type.replace("_", " ")}</td>
            <td className="number">{exactPriceText(order.averagePrice ?? order.price ?? order.stopPrice)}</td>
            <td className="number">
              {amountText(order.filledQuantity, 6)} / {amountText(order.quantity, 6)}
            </td>
            <td className="state">
              <span className={`status status-${order.status}`} title={order.rejectReason ?? undefined}>
                {STATUS[order.status]}
              </span>
            </td>
            <td className="action">
              {OPEN.includes(order.status) && (
                <button type="button" disabled={!isLive} onClick={() => void onCancel(order.id)}>
                  Cancel
                </button>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Trades({ trades }: Pick<Shown, "trades">) {
  if (trades.length === 0) return <Empty words="No trades yet" />;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" className="extra">Time</th>
          <th scope="col">Symbol</th>
          <th scope="col">Side</th>
          <th scope="col" className="number">Price</th>
          <th scope="col" className="number">Quantity</th>
          <th scope="col" className="number extra">Value</th>
          <th scope="col">Whose</th>
        </tr>
      </thead>
      <tbody>
        {trades.map((trade) => (
          <tr key={trade.id}>
            <td className="extra">{timeText(trade.executedAt)}</td>
            <th scope="row">{trade.symbol}</th>
            <td className={`side ${trade.side === "buy" ? "up" : "down"}`}>{trade.side}</td>
            <td className="number">{exactPriceText(trade.price)}</td>
            <td className="number">{amountText(trade.quantity, 6)}</td>
            <td className="number extra">{amountText(trade.value, 2)}</td>
            <td>{trade.isOwn ? "Yours" : "Public"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
