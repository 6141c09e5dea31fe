import { ClientConnection } from './client-connection.ts';

/** How often due requests are sent, in milliseconds; latency counts from when they were due. */
const TICK_MS = 1;
/** Beyond, requests wait for a connection (which counts as their latency), as they would in front of a real client. */
const MAX_CONNECTIONS = 256;

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Sends at a fixed rate whatever becomes of the answers, so that a slow proxy does not get less to do (no coordinated
 * omission). One in ten requests is a POST; accounts and transactions vary.
 */
export async function openLoop(load: {
  port: number;
  ratePerSecond: number;
  seconds: number;
}): Promise<LoadResult> {
  const total = Math.round(load.ratePerSecond * load.seconds);
  const latencies = new Float64Array(total);
  const idle: ClientConnection[] = [];
  const all = new Set<ClientConnection>();
  const waiting: number[] = [];
  let sent = 0;
  let ended = 0;
  let failed = 0;
  const startedMs = performance.now();

  await new Promise<void>((resolve) => {
    const end = (): void => {
      ended += 1;
      if (ended < total) return;
      clearInterval(timer);
      resolve();
    };
    const sendOne = (number: number): void => {
      const dueMs = startedMs + (number * 1000) / load.ratePerSecond;
      let connection = idle.pop();
      while (connection?.closed === true) connection = idle.pop();
      if (connection === undefined && all.size >= MAX_CONNECTIONS) {
        waiting.push(number);
        return;
      }
      if (connection === undefined) all.add((connection = new ClientConnection(load.port)));
      const used = connection;
      used.onDone = (status) => {
        latencies[number] = performance.now() - dueMs;
        if (status !== 200) failed += 1;
        if (used.closed) all.delete(used);
        else idle.push(used);
        const next = waiting.shift();
        if (next !== undefined) sendOne(next);
        end();
      };
      used.send(requestOf(number));
    };
    const timer = setInterval(() => {
      const due = Math.min(total, Math.ceil(((performance.now() - startedMs) * load.ratePerSecond) / 1000));
      while (sent < due) sendOne(sent++);
    }, TICK_MS);
  });
  for (const connection of all) connection.destroy();
  latencies.sort();
  return { requests: total, failed, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
}

/** Requests per second with `connections` busy all the time. */
export async function saturate(load: {
  port: number;
  connections: number;
  seconds: number;
}): Promise<number> {
  const untilMs = performance.now() + load.seconds * 1000;
  let answered = 0;
  const run = (connection: ClientConnection, number: number): Promise<void> =>
    new Promise((resolve) => {
      let next = number;
      const again = (status: number): void => {
        if (status === 200) answered += 1;
        if (status === 0 || performance.now() >= untilMs) {
          connection.destroy();
          resolve();
          return;
        }
        connection.onDone = again;
        connection.send(requestOf((next += load.connections)));
      };
      connection.onDone = again;
      connection.send(requestOf(next));
    });
  await Promise.all(
    Array.from({ length: load.connections }, (_, i) => run(new ClientConnection(load.port), i)),
  );
  return answered / load.seconds;
}

function requestOf(number: number): string {
  const fields =
    `Host: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\nX-Account: ${100_000 + (number % 9_973)}\r\n` +
    `X-Transaction: t-${number % 5_000}\r\n`;
  return number % 10 === 0
    ? `POST /wealth/buy HTTP/1.1\r\n${fields}Content-Type: text/plain\r\nContent-Length: 11\r\n\r\namount=1000`
    : `GET /wealth/home?n=${number} HTTP/1.1\r\n${fields}\r\n`;
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
