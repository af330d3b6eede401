// Opens Tidegate's tab of Locust's page as each of several readers would, and prints what they
// met: one JSON line a reader. Usage: node locust-page.mjs CHROMIUM URL WAIT [FOLDER]
// WAIT is a selector that the page must show before it is looked at.

import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [executablePath, url, wait, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 0 });
try {
  for (const width of [1400, 390]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      context.setDefaultTimeout(0); // the test that starts this has the deadline
      const page = await context.newPage();
      const complaints = [];
      const foreign = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("request", (request) => {
        if (!request.url().startsWith(url) && !request.url().startsWith("data:")) foreign.push(request.url());
      });
      await page.goto(`${url}?tab=tidegate`, { waitUntil: "load" });
      await page.waitForSelector(`#tidegate ${wait}`);
      const seen = await page.evaluate(() => {
        const section = document.getElementById("tidegate");
        const right = (element) => element.getBoundingClientRect().right;
        return {
          text: section.innerText,
          charts: section.querySelectorAll("figure svg").length,
          budgets: section.querySelectorAll("tbody tr").length,
          isDark: section.classList.contains("dark"),
          widest: Math.max(...[section, ...section.querySelectorAll("*")].map(right)),
          fixed: [...document.querySelectorAll("p")].filter((one) => getComputedStyle(one).position === "fixed").length,
          link: section.querySelector("a")?.href ?? "",
        };
      });
      if (folder) await page.screenshot({ path: `${folder}/locust-${width}-${colorScheme}.png`, fullPage: true });
      // Another tab, and back: Locust unmounts its panel, and the section must follow.
      const tab = (name) => page.locator('[role="tab"]', { hasText: name });
      await tab("Charts").click();
      await page.waitForSelector("#tidegate", { state: "detached" });
      await tab("Tidegate").click();
      await page.waitForSelector(`#tidegate ${wait}`);
      await page.addScriptTag({ path: AXE });
      const found = await page.evaluate(() => globalThis.axe.run("#tidegate", { resultTypes: ["violations"] }));
      const serious = found.violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary ?? ""}`);
      console.log(JSON.stringify({ width, colorScheme, complaints, foreign, ...seen, serious, rules: found.passes.length }));
      await context.close();
    }
  }
} finally {
  await browser.close();
}
