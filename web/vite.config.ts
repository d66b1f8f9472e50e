// Builds the page that `sotto serve` answers `/` with: `npx vite build web` writes dist/web. Everything it needs is in
// there: no CDN, no fonts from elsewhere, and nothing inline, so that `script-src 'self'; style-src 'self'` holds.
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const SERVER = process.env["SOTTO_SERVER"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  plugins: [svelte({ configFile: fileURLToPath(new URL("svelte.config.js", import.meta.url)) })],
  build: {
    outDir: fileURLToPath(new URL("../dist/web", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    // Data URLs would need `data:` in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/jobs": SERVER,
      "/v1": SERVER,
      "/health": SERVER,
      "/live": { target: SERVER, ws: true },
    },
  },
});
