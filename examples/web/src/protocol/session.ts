// Where the gateway is and who we are: the page asks its own server, which signs the tokens.
// `tidegate demo` answers it; in a product the backend behind your login does.

export interface Session {
  gateway: string;
  token: string;
  symbols: string[];
  provider: string;
}

export async function fetchSession(): Promise<Session> {
  const answer = await fetch("session", { headers: { Accept: "application/json" }, cache: "no-store" });
  if (!answer.ok) throw new Error(`The page's server answered ${answer.status}`);
  return (await answer.json()) as Session;
}
