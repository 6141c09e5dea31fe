import { isIP } from 'node:net';
import { Agent, request, type Dispatcher } from 'undici';
import { isPublicAddress, lookupPublic } from './public-address.ts';
import { unusable } from './unusable.ts';

/** Which addresses this worker reads from. */
export interface Reach {
  /** Hosts that may be reached by http and at private addresses: `host`, or `host:port`. */
  readonly allowedHosts: readonly string[];
}

interface JsonCall extends Reach {
  readonly source: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form, by POST. */
  readonly form?: URLSearchParams;
  readonly signal?: AbortSignal | undefined;
  /** Statuses whose body says more than the status, besides 200. */
  readonly alsoRead?: readonly number[];
}

/** For the whole call, in milliseconds. */
const TIMEOUT_MS = 15_000;
/** Bytes of an answer, decoded; one byte more is refused. */
const MAX_BYTES = 8 * 1024 * 1024;

/** One connection per call: a source is read every few seconds at most, and its name may lead elsewhere by then. */
const OPTIONS: Agent.Options = {
  connections: 1,
  pipelining: 1,
  keepAliveTimeout: 1_000,
  maxHeaderSize: 16_384,
};
const anywhere = new Agent(OPTIONS);
const publicOnly = new Agent({ ...OPTIONS, connect: { lookup: lookupPublic } });

/**
 * Reads JSON, tried once. Only https to public addresses, or hosts that the worker's configuration allows by name;
 * redirects are not followed, because what is wanted is never behind one (a login page is).
 *
 * @throws ChangeoverError `MetricsUnusable`, or the reason of `signal`
 */
export async function fetchJson(call: JsonCall): Promise<{ status: number; body: unknown }> {
  const { source, url, headers, form, signal } = call;
  const dispatcher = dispatcherFor(call);
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await request(url, {
      dispatcher,
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...headers,
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(form === undefined ? {} : { body: form.toString() }),
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    return { status: response.statusCode, body: await jsonOf(call, response) };
  } catch (cause) {
    signal?.throwIfAborted();
    if (deadline.aborted) throw unusable(source, `it did not answer within ${TIMEOUT_MS / 1000} s`);
    if (isNamed(cause)) throw cause;
    throw unusable(source, `it does not answer (${reasonOf(cause)})`);
  }
}

function dispatcherFor({ source, url, allowedHosts }: JsonCall): Dispatcher {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  if (allowedHosts.some((host) => host === url.host || host === url.hostname || host === hostname))
    return anywhere;
  const remedy = `the worker's CHANGEOVER_METRICS_HOSTS may allow it: ${url.host}`;
  if (url.protocol !== 'https:') throw unusable(source, `it must be an https address; ${remedy}`);
  if (isIP(hostname) !== 0 && !isPublicAddress(hostname)) {
    throw unusable(source, `its address is not public; ${remedy}`);
  }
  return publicOnly;
}

async function jsonOf(call: JsonCall, response: Dispatcher.ResponseData): Promise<unknown> {
  const { source, alsoRead = [] } = call;
  const { statusCode } = response;
  const refuse = async (why: string): Promise<never> => {
    // Breaking off is an error to the stream, and one that nobody listens to would end the process.
    response.body.on('error', () => undefined).destroy();
    throw unusable(source, why);
  };
  if (statusCode >= 300 && statusCode < 400) {
    return refuse(`it answered ${statusCode}, a redirect (to a login page?), and must answer 200 with JSON`);
  }
  const type =
    String(response.headers['content-type'] ?? 'nothing')
      .split(';')[0]
      ?.trim() ?? '';
  if (statusCode !== 200 && !alsoRead.includes(statusCode)) {
    return refuse(`it answered ${statusCode} with ${type}, and must answer 200 with JSON`);
  }
  if (!/^application\/([\w.+-]+\+)?json$/i.test(type)) {
    const guess = /html/i.test(type) ? ' (a login page?)' : '';
    return refuse(`it answered ${statusCode} with ${type}${guess}, and must answer with application/json`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return refuse(`its answer is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return body;
  } catch {
    throw unusable(source, 'its answer says that it is JSON, and is not');
  }
}

function isNamed(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'ChangeoverError';
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(', ');
  return cause instanceof Error ? cause.message : String(cause);
}
