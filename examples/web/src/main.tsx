import { createRoot } from "react-dom/client";
import { App } from "./App";
import { fetchSession } from "./protocol/session";
import { Store } from "./store";
import "./style.css";

const place = document.getElementById("page")!;

async function begin(): Promise<void> {
  const store = new Store(await fetchSession());
  createRoot(place).render(<App store={store} />);
  store.open();
}

begin().catch((error: unknown) => {
  place.innerHTML = "";
  const words = document.createElement("p");
  words.className = "start-failure";
  words.setAttribute("role", "alert");
  words.textContent = `The page cannot start: ${error instanceof Error ? error.message : String(error)}. Start it with “tidegate demo”.`;
  place.append(words);
});
