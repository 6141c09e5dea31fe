import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { Server } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono, type Context, type ErrorHandler, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ChangeoverError, ERROR_CODES, type ErrorBody } from '../domain/errors.ts';

/** Largest body that a control API takes; a route table of 1,000 servers has about 200 KB. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** How long requests that are under way may take to end once a control API closes. */
const CLOSE_GRACE_MS = 2_000;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** What may be read without a token: by load balancers and by Prometheus. */
const PUBLIC_PATHS: ReadonlySet<string> = new Set(['/health', '/metrics']);

/**
 * The application that every control API (controller, agent, gateway admin) is built on: bearer token, errors in the
 * form of `errorAnswerSchema`, a bound on bodies. `GET /health` and `GET /metrics` need no token.
 */
export function createControlApp(options: { token?: string; logger: Logger }): Hono {
  const app = new Hono({ strict: false });
  app.use(options.token === undefined ? refuseBrowsers : requireToken(options.token));
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: refuseLargeBody }));
  app.onError(answerError(options.logger));
  app.notFound((c) => {
    throw new ChangeoverError('NotFound', `There is no ${c.req.method} ${c.req.path} here.`);
  });
  return app;
}

function refuseLargeBody(): never {
  throw new ChangeoverError('InvalidRequest', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
}

function isPublic(c: Context): boolean {
  return c.req.method === 'GET' && PUBLIC_PATHS.has(c.req.path);
}

function requireToken(token: string): MiddlewareHandler {
  const expected = digest(token);
  return async (c, next) => {
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    // Digests have equal lengths, so that the comparison takes the same time whatever was given.
    if (!isPublic(c) && !timingSafeEqual(digest(given), expected)) {
      throw new ChangeoverError(
        'Unauthorized',
        'This API needs its bearer token in the Authorization header.',
      );
    }
    await next();
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/**
 * Without a token a control API listens on loopback only, which a web page open in a browser on that host can reach
 * too: by a request across origins, or by a name that it resolves to 127.0.0.1.
 */
const refuseBrowsers: MiddlewareHandler = async (c, next) => {
  const { hostname } = new URL(c.req.url);
  if (!isPublic(c) && (c.req.header('origin') !== undefined || !isLoopback(hostname))) {
    throw new ChangeoverError(
      'Unauthorized',
      'Without a token this API answers only programs on its own host, addressed as localhost or 127.0.0.1.',
    );
  }
  await next();
};

function answerError(logger: Logger): ErrorHandler {
  return (error, c) => {
    const body = toErrorBody(error);
    if (body.code === 'Internal') logger.error({ err: error, path: c.req.path }, 'a request failed');
    return c.json({ error: body }, ERROR_CODES[body.code].status);
  };
}

function toErrorBody(error: unknown): ErrorBody {
  if (error instanceof ChangeoverError) return error.toBody();
  if (error instanceof z.ZodError) return invalid(error).toBody();
  return { code: 'Internal', message: 'Something went wrong inside; the log of this process says what.' };
}

function invalid(error: z.ZodError): ChangeoverError {
  const fields = error.issues.map((issue) => ({
    field: z.core.toDotPath(issue.path),
    message: issue.message,
  }));
  const text = fields
    .map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
    .join('; ');
  return new ChangeoverError('InvalidRequest', `The request is not valid. ${text}`, { details: { fields } });
}

/** The request's JSON body by `schema`. @throws ChangeoverError `InvalidRequest` naming each wrong field. */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  let value: unknown;
  try {
    value = JSON.parse(await c.req.text());
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new ChangeoverError('InvalidRequest', `The body is not JSON: ${cause.message}.`, { cause });
  }
  return readValue(value, schema);
}

/** The same for a query, or anything else that came with a request. */
export function readValue<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error);
  return parsed.data;
}

/** Whether only this host can reach what listens there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (bare === 'localhost') return true;
  const family = isIP(bare);
  return family !== 0 && LOOPBACK.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

export interface Listening {
  /** Origin, such as `http://127.0.0.1:7401`, with the port that was really taken. */
  readonly url: string;
  readonly port: number;
  /** Takes no more connections, gives requests under way two seconds, then cuts them. */
  close(): Promise<void>;
}

/** Takes the port (0: any). @throws ChangeoverError `InvalidRequest` for other hosts than loopback without a token. */
export async function listen(
  app: Pick<Hono, 'fetch'>,
  { host, port, token }: { host: string; port: number; token?: string },
): Promise<Listening> {
  if (token === undefined && !isLoopback(host)) {
    throw new ChangeoverError(
      'InvalidRequest',
      `A control API does not listen on ${host} without a token: set a token, or listen on 127.0.0.1.`,
    );
  }
  const server = createAdaptorServer({ fetch: app.fetch, hostname: host });
  if (!(server instanceof Server)) throw new TypeError('expected an HTTP/1.1 server');
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ChangeoverError('Internal', `Cannot listen on ${host}:${port}: ${String(cause)}`, { cause });
  }
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : port;
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return { url: `http://${name}:${taken}`, port: taken, close: () => closeServer(server) };
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(cut);
}
