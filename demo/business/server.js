/**
 * The demo's business: a small wealth-product server (or the pricing service behind it) that knows nothing of Changeover.
 * From the environment: PORT (0 for
 * any), HOST (127.0.0.1), SERVER_NAME (host:port), RECORD_FILE (one JSON line per start, stop and exit is appended),
 * PRICING_URL (the wealth pages then ask another service for prices), CALLS_FILE (pricing appends a line per call).
 */
import { appendFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { readRelease } from './release.js';
import { createRoutes } from './routes.js';

const release = readRelease();
const host = process.env.HOST ?? '127.0.0.1';
const transactions = new Map();
const software = release.business ?? 'wealth';
const business = createRoutes({ release, transactions });
let name = process.env.SERVER_NAME ?? '';
let status = release.hangStart ? 'starting' : 'ok';
let inFlight = 0;

function record(event) {
  if (!process.env.RECORD_FILE) return;
  const line = {
    event,
    server: name,
    version: release.version,
    pid: process.pid,
    processStartedAt: new Date(performance.timeOrigin).toISOString(),
    at: new Date().toISOString(),
    inFlight,
    openTransactions: transactions.size,
  };
  appendFileSync(process.env.RECORD_FILE, `${JSON.stringify(line)}\n`);
}

/** Questions about the server itself; they are not business and do not count as in flight. */
function control(pathname, response) {
  const about = {
    version: release.version,
    mode: release.mode,
    status,
    inFlight,
    openTransactions: transactions.size,
  };
  response.statusCode = pathname === '/health' && status !== 'ok' ? 503 : 200;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(about));
}

function serve(request, response, url) {
  inFlight += 1;
  response.once('close', () => {
    inFlight -= 1;
    // The connection of an answer whose head was out before the stop turns idle only after this event.
    if (status === 'stopping') setImmediate(() => server.closeIdleConnections());
  });
  request.resume();
  request.once('end', () => {
    if (release.slowByMs > 0) setTimeout(() => business(request, response, url), release.slowByMs);
    else business(request, response, url);
  });
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('x-version', release.version);
  response.setHeader('x-server', name);
  if (status === 'stopping') response.setHeader('connection', 'close');
  if (url.pathname === '/health' || url.pathname === '/inflight') control(url.pathname, response);
  else serve(request, response, url);
});
// Longer than a gateway keeps its connections: the one who sends requests should be the one who closes.
server.keepAliveTimeout = 75_000;

/** No new connection, idle ones closed; what is in flight gets its answer; then the process ends by itself. */
function stop() {
  if (status === 'stopping') return;
  status = 'stopping';
  clearTimeout(starting);
  record('stop');
  server.close(() => record('exit'));
}

function start() {
  server.listen(Number(process.env.PORT ?? 8080), host, () => {
    const { port } = server.address();
    if (name === '') name = `${host}:${port}`;
    record('start');
    console.log(`${software} ${release.version} (${release.mode}) serves on http://${host}:${port}`);
  });
}

/** Where `needsFile` is on this server; undefined where the release needs none. */
const needed = release.needsFile?.replace('{server}', process.env.SERVER_NAME ?? '');
if (release.failStart || (needed !== undefined && !existsSync(needed))) {
  console.error(`${software} ${release.version}: reading the product catalogue`);
  console.error(
    `${software} ${release.version}: ${needed === undefined ? 'the catalogue has no product "harvest-12"' : `${needed} is missing`}`,
  );
  console.error(`${software} ${release.version}: cannot start without it`);
  process.exit(1);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
const starting = setTimeout(start, release.startDelayMs);
