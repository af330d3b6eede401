// Opens a report from the disk as each of several readers would, and prints what they met:
// one JSON line a reader. Usage: node report-page.mjs CHROMIUM FILE [FOLDER FOR SCREENSHOTS]

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const READERS = [
  { width: 360, height: 740, colorScheme: "light", isAudited: true },
  { width: 360, height: 740, colorScheme: "dark", isAudited: false },
  { width: 1400, height: 900, colorScheme: "light", isAudited: false },
  { width: 1400, height: 900, colorScheme: "dark", isAudited: true },
];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

// Both widths and both schemes are audited once: what axe looks at depends on one or the other.
async function auditPage(page) {
  await page.addScriptTag({ path: AXE });
  const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const serious = found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.length} × ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary ?? ""}`);
  return { serious, rules: found.passes.length };
}

const [executablePath, file, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 0 });
try {
  for (const { width, height, colorScheme, isAudited } of READERS) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, offline: true });
    context.setDefaultTimeout(0); // the test that starts this has the deadline
    const page = await context.newPage();
    const complaints = [];
    const requests = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
    const seen = await page.evaluate(() => ({
      scrollWidth: document.documentElement.scrollWidth,
      ground: getComputedStyle(document.body).backgroundColor,
      verdictBottom: document.querySelector(".verdict").getBoundingClientRect().bottom,
      forestTop: document.querySelector("#budgets .chart").getBoundingClientRect().top,
      shown: [...document.querySelectorAll(".chart svg")].filter((svg) => svg.getBoundingClientRect().width > 0).length,
      charts: document.querySelectorAll(".chart").length,
      smallest: Math.min(...[...document.querySelectorAll(".chart svg text")]
        .map((text) => text.getBoundingClientRect().height).filter((height) => height > 0)),
    }));
    if (folder) {
      await page.screenshot({ path: `${folder}/report-${width}-${colorScheme}.png`, fullPage: true });
    }
    const asked = requests.slice(); // before axe is brought in
    for (const details of await page.locator("details").all()) {
      await details.evaluate((element) => { element.open = true; });
    }
    const openWidth = await page.evaluate(() => document.documentElement.scrollWidth);
    const audit = isAudited ? await auditPage(page) : {};
    console.log(JSON.stringify({ width, colorScheme, complaints, requests: asked, openWidth, ...seen, ...audit }));
    await context.close();
  }
} finally {
  await browser.close();
}
