import { defineConfig } from "vite";

/** What `npm run dev` asks for `/api`, `/v1` and `/ca.crt`: the mock server, or an appliance. */
const appliance = process.env.HEARTH_URL ?? "http://127.0.0.1:4180";
const passedOn = { target: appliance, secure: false, changeOrigin: true, headers: { origin: appliance } };

export default defineConfig({
  server: { proxy: { "/api": passedOn, "/v1": passedOn, "/ca.crt": passedOn } },
  build: {
    target: "es2022",
    // The gateway's content policy allows neither inline scripts nor data addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 200,
  },
});
