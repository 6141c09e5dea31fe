import { createConnection } from 'node:net';
import { request } from 'undici';
import { z } from 'zod';
import { uncounted, type InFlightCount } from './in-flight.ts';

const PROBE_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 64 * 1024;

const versionAnswerSchema = z.object({ version: z.string() });
const inFlightAnswerSchema = z.union([
  z.int().nonnegative(),
  z.object({ inFlight: z.int().nonnegative() }).transform(({ inFlight }) => inFlight),
]);

/** What the software says about itself over HTTP. Nothing throws: no answer is an answer. */
export interface HealthCheck {
  /**
   * Whether the health URL answered 2xx, and the version that the software itself reports (a JSON `version` field, or
   * plain text); null where it reports none. Where both are at one address, that is asked once.
   */
  check(): Promise<{ readonly healthy: boolean; readonly version: string | null }>;
  /** Something answers at the health URL, whatever it says. */
  answers(): Promise<boolean>;
  /** Something listens there: what can be asked often, while it starts. */
  listens(): Promise<boolean>;
}

export function createHealthCheck(url: string, versionUrl: string | undefined): HealthCheck {
  return {
    check: async () => {
      const health = await ask(url);
      const version = versionUrl === undefined || versionUrl === url ? health : await ask(versionUrl);
      return {
        healthy: isSuccess(health?.status ?? 0),
        version: versionUrl === undefined ? null : versionIn(version),
      };
    },
    answers: async () => (await ask(url)) !== undefined,
    listens: () => listensAt(new URL(url)),
  };
}

function listensAt({ protocol, hostname, port }: URL): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
    const end = (listens: boolean): void => {
      socket.destroy();
      resolve(listens);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(false));
  });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function versionIn(answer: Answer | undefined): string | null {
  const text = answer !== undefined && isSuccess(answer.status) ? answer.text.trim() : '';
  if (text === '') return null;
  const value = parseJson(text);
  const named = versionAnswerSchema.safeParse(value);
  if (named.success) return named.data.version;
  if (typeof value === 'string') return value;
  return typeof value === 'object' ? null : text;
}

/** The in-flight count that the software itself reports: a number, or `{inFlight: n}`. */
export async function reportedInFlight(url: string): Promise<InFlightCount> {
  const answer = await ask(url);
  if (answer === undefined)
    return uncounted(`${url} did not answer within ${PROBE_TIMEOUT_MS} ms, or refused the connection`);
  if (!isSuccess(answer.status)) return uncounted(`${url} answered HTTP ${answer.status}`);
  const inFlight = inFlightAnswerSchema.safeParse(parseJson(answer.text.trim())).data;
  return inFlight === undefined
    ? uncounted(`${url} answered neither a number nor {"inFlight": number}`)
    : { inFlight };
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

async function ask(url: string): Promise<Answer | undefined> {
  try {
    const { statusCode, body } = await request(url, {
      // Not kept alive: an idle connection of ours would count as business in flight.
      reset: true,
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    let text = '';
    for await (const chunk of body as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (text.length > MAX_ANSWER_BYTES) break;
    }
    return { status: statusCode, text };
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
