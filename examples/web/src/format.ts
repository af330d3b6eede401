// How numbers and times read on the page.

const DASH = "–";

// Decimals of a price: six digits in all, and never fewer than two decimals.
export function decimalsOf(price: number): number {
  if (!(price > 0)) return 2;
  return Math.min(8, Math.max(2, 5 - Math.floor(Math.log10(price))));
}

export function priceText(price: number | undefined): string {
  return price === undefined ? DASH : fixed(price, decimalsOf(price));
}

export function sizeText(size: number): string {
  return fixed(size, size >= 1_000 ? 1 : size >= 10 ? 3 : 4);
}

export function compactText(value: number | undefined): string {
  if (value === undefined) return DASH;
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
}

// With its sign in text, so that a rise or fall does not depend on colour.
export function signedText(value: number, decimals: number): string {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${fixed(Math.abs(value), decimals)}`;
}

// Groups the digits of a decimal text, and drops zeros at its end. No digit passes through a float.
export function amountText(amount: string | null | undefined, most = 8): string {
  if (amount === null || amount === undefined) return DASH;
  const [whole = "", fraction = ""] = amount.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const kept = fraction.slice(0, most).replace(/0+$/, "");
  return kept === "" ? grouped : `${grouped}.${kept}`;
}

// A price in a decimal text, with the decimals of its size.
export function exactPriceText(price: string | null | undefined): string {
  return amountText(price, decimalsOf(Number(price)));
}

export function timeText(iso: string | undefined): string {
  if (iso === undefined) return DASH;
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? DASH : at.toLocaleTimeString("en-GB");
}

export function fixed(value: number, decimals: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}
