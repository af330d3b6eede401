import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const HERE = import.meta.dirname;
const PAGE = join(HERE, "../../loadtests/demo/page");
const INPUTS = ["index.html", "package-lock.json", "src", "tsconfig.json", "vite.config.ts"];

// Notes what the page was built from, so that a test without Node can tell that it is current.
function notesSources(): Plugin {
  return {
    name: "notes-sources",
    apply: "build",
    closeBundle() {
      const lines = INPUTS.flatMap(filesIn).map((file) => {
        const digest = createHash("sha256").update(readFileSync(join(HERE, file))).digest("hex");
        return `${digest}  ${file}\n`;
      });
      writeFileSync(join(PAGE, "sources.sha256"), lines.join(""));
    },
  };
}

function filesIn(name: string): string[] {
  if (name !== "src") return [name];
  const found = readdirSync(join(HERE, name), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && !entry.name.includes(".test."))
    .map((entry) => relative(HERE, join(entry.parentPath, entry.name)))
    .sort();
}

export default defineConfig({
  base: "./",
  plugins: [react(), notesSources()],
  // `npm run dev` beside `tidegate demo --port 5180`.
  server: { proxy: { "/session": process.env["TIDEGATE_DEMO"] ?? "http://127.0.0.1:5180" } },
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    sourcemap: false,
    license: { fileName: "licenses.md" }, // of the libraries in the built page
    rollupOptions: {
      output: {
        entryFileNames: "page.js",
        assetFileNames: "page.[ext]",
        // Libraries change rarely: their file stays as it is when the page changes.
        chunkFileNames: "[name].js",
      },
    },
  },
});
