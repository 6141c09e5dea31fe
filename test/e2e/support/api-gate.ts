import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { until } from '../../../demo/fleet/until.ts';

/** Calls of a control API, such as `POST` on `/routes/stage`. */
export interface CallPattern {
  readonly method: string;
  readonly path: RegExp;
}

/** Calls that are held back on their way. */
export interface HeldCalls {
  readonly count: number;
  /** Until at least one is held. */
  reached(what: string): Promise<void>;
  /** New calls go through; those that are held stay. */
  letPass(): void;
  /** Lets all through; resolves with the status that was answered to each. */
  release(): Promise<readonly number[]>;
}

/**
 * Stands before a control API (the controller's, a gateway's) and holds calls back, so that a test can do something
 * exactly in the middle of a step. A call that is let through when its caller is long gone arrives all the same: the
 * late call of an earlier attempt.
 */
export interface ApiGate extends AsyncDisposable {
  readonly url: string;
  /** Where calls go; known only once that has its port. */
  forwardTo(url: string): void;
  hold(pattern: CallPattern): HeldCalls;
}

const REACH_TIMEOUT_MS = 45_000;

interface Hold {
  readonly pattern: CallPattern;
  readonly calls: (() => Promise<number>)[];
  open: boolean;
}

export async function createApiGate(): Promise<ApiGate> {
  const holds: Hold[] = [];
  let target = '';

  async function forward(call: IncomingMessage, body: string, answer: ServerResponse): Promise<number> {
    const { method = 'GET', url = '/', headers } = call;
    const response = await request(`${target}${url}`, {
      method: method as 'GET',
      headers: { 'content-type': headers['content-type'] ?? 'application/json' },
      body: method === 'GET' ? null : body,
      headersTimeout: 60_000,
    });
    const text = await response.body.text();
    answer.statusCode = response.statusCode;
    answer.setHeader('content-type', 'application/json');
    answer.end(text);
    return response.statusCode;
  }

  async function receive(call: IncomingMessage, answer: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of call.setEncoding('utf8')) body += String(chunk);
    const go = async (): Promise<number> => {
      try {
        return await forward(call, body, answer);
      } catch {
        // As it looks when nobody is there.
        answer.destroy();
        return 0;
      }
    };
    const hold = holds.find(({ pattern, open }) => !open && matches(pattern, call));
    if (hold === undefined) await go();
    else hold.calls.push(go);
  }

  const server = createServer((call, answer) => void receive(call, answer).catch(() => answer.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  function hold(pattern: CallPattern): HeldCalls {
    const held: Hold = { pattern, calls: [], open: false };
    holds.push(held);
    return {
      get count() {
        return held.calls.length;
      },
      reached: (what) => until(what, () => held.calls.length > 0, { timeoutMs: REACH_TIMEOUT_MS }),
      letPass: () => {
        held.open = true;
      },
      release: async () => {
        held.open = true;
        return Promise.all(held.calls.splice(0).map((go) => go()));
      },
    };
  }

  return {
    url: `http://127.0.0.1:${port}`,
    forwardTo: (url) => {
      target = url;
    },
    hold,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function matches({ method, path }: CallPattern, call: IncomingMessage): boolean {
  return call.method === method && path.test(new URL(call.url ?? '/', 'http://gate').pathname);
}
