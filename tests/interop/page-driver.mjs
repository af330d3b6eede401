// A page in Chromium, driven line by line: a JSON command on standard input, its outcome on
// standard output. Usage: node page-driver.mjs CHROMIUM
//
//   {"do": "open", "id": 1, "url": "...", "width": 1400, "height": 900, "colorScheme": "dark"}
//   {"do": "click", "id": 2, "selector": "..."}            with Playwright's selectors
//   {"do": "fill", "id": 3, "selector": "...", "value": "..."}
//   {"do": "choose", "id": 4, "selector": "...", "value": "..."}
//   {"do": "wait", "id": 5, "expression": "..."}           until it is true in the page
//   {"do": "evaluate", "id": 6, "expression": "..."}
//   {"do": "audit", "id": 7}                               what axe finds serious
//   {"do": "screenshot", "id": 8, "path": "..."}
//
// `open` opens another window, which the later commands are for. An outcome is
// {"kind": "answer", "id": 1, "value": ...}, with a "message" instead of the value when it failed.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const SERIOUS = ["serious", "critical"];
const browser = await chromium.launch({ executablePath: process.argv[2], args: ["--no-sandbox"], timeout: 0 });
let page;
let complaints = [];

const commands = {
  async open({ url, width, height, colorScheme }) {
    await page?.context().close();
    // axe is brought in past the page's policy.
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP: true });
    context.setDefaultTimeout(0); // the test that starts this has the deadline
    page = await context.newPage();
    complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(url, { waitUntil: "load" });
  },
  click: ({ selector }) => page.locator(selector).first().click(),
  fill: ({ selector, value }) => page.locator(selector).fill(value),
  choose: ({ selector, value }) => page.locator(selector).selectOption(value),
  wait: async ({ expression }) => {
    await page.waitForFunction(expression, undefined, { polling: 50 });
  },
  evaluate: ({ expression }) => page.evaluate(expression),
  complaints: () => complaints,
  async audit() {
    await page.addScriptTag({ path: AXE });
    const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
    const serious = found.violations
      .filter(({ impact }) => SERIOUS.includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.length} × ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary ?? ""}`);
    return { serious, rules: found.passes.length };
  },
  screenshot: async ({ path }) => {
    await page.screenshot({ path });
  },
};

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

async function answer(line) {
  const { do: command, id, ...fields } = JSON.parse(line);
  try {
    say({ kind: "answer", id, value: await commands[command](fields) });
  } catch (error) {
    say({ kind: "answer", id, message: String(error) });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", answer); // the test sends the next command after the answer
lines.on("close", async () => {
  await browser.close(); // a command that still waits must not keep the process
  process.exit(0);
});
