// The mock as an HTTP server: the built page under the gateway's own rules, and the interface behind it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { Appliance } from "./appliance.mjs";
import { Exchange, notFound, Refusal } from "./exchange.mjs";
import { checkOrigin } from "./sessions.mjs";

const DIST = new URL("../dist", import.meta.url).pathname;

/** What the gateway sends with the page. */
const PAGE_HEADERS = {
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Starts a made-up appliance.
 * @param {number} port 0: any that is free
 */
export async function startMock(port) {
  const appliance = new Appliance();
  const routes = appliance.routes();
  const server = createServer((request, response) => {
    const exchange = new Exchange(request, response);
    serve(appliance, routes, exchange).catch((error) => {
      if (error instanceof Refusal && !response.headersSent) exchange.refuse(error);
      else response.destroy();
      if (!(error instanceof Refusal)) console.error(error);
    });
  });
  const listen = (/** @type {number} */ wanted) =>
    new Promise((resolve) => server.listen(wanted, "127.0.0.1", () => resolve(undefined)));
  await listen(port);
  appliance.start();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    appliance,
    /** Stops answering, as an appliance does that restarts. */
    async interrupt() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    resume: () => listen(address.port),
    async close() {
      appliance.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * @param {Appliance} appliance
 * @param {ReturnType<Appliance["routes"]>} routes
 * @param {Exchange} exchange
 */
async function serve(appliance, routes, exchange) {
  const { method } = exchange.request;
  const { pathname } = exchange.url;
  if (method === "POST" && pathname === "/api/v1/session") {
    checkOrigin(exchange);
    return appliance.sessions.signIn(exchange);
  }
  if (pathname === "/ca.crt") {
    exchange.response.writeHead(200, { "Content-Type": "application/x-x509-ca-cert" });
    return exchange.response.end("-----BEGIN CERTIFICATE-----\nnot a real one\n-----END CERTIFICATE-----\n");
  }
  if (!pathname.startsWith("/api/") && !pathname.startsWith("/v1/")) return page(exchange);
  for (const [wanted, pattern, role, handle] of routes) {
    const match = wanted === method ? pattern.exec(pathname) : null;
    if (match === null) continue;
    exchange.parts = match.slice(1).map(decodeURIComponent);
    appliance.sessions.admit(exchange, role);
    return handle(exchange);
  }
  throw notFound(`there is nothing at ${method} ${pathname}`);
}

/** @param {Exchange} exchange */
async function page({ url, response }) {
  const path = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
  try {
    const compressed = await readFile(join(DIST, `${path}.gz`));
    response.writeHead(200, {
      ...PAGE_HEADERS,
      "Content-Type": TYPES[extname(path)] ?? "application/octet-stream",
      "Content-Encoding": "gzip",
      "Cache-Control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    });
    response.end(compressed);
  } catch {
    throw notFound(`there is nothing at ${url.pathname}`);
  }
}
