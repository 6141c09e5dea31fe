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
  /** The health URL answered 2xx. */
  healthy(): Promise<boolean>;
  /** Something answers at the health URL, whatever it says. */
  answers(): Promise<boolean>;
}

export function createHealthCheck(url: string): HealthCheck {
  return {
    healthy: async () => isSuccess((await ask(url))?.status ?? 0),
    answers: async () => (await ask(url)) !== undefined,
  };
}

/** The version that the software itself reports (a JSON `version` field, or plain text), or null. */
export async function reportedVersion(url: string): Promise<string | null> {
  const text = await askText(url);
  if (text === undefined || text === '') return null;
  const value = parseJson(text);
  const answer = versionAnswerSchema.safeParse(value);
  if (answer.success) return answer.data.version;
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

async function askText(url: string): Promise<string | undefined> {
  const answer = await ask(url);
  return answer && isSuccess(answer.status) ? answer.text.trim() : undefined;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

async function ask(url: string): Promise<{ status: number; text: string } | undefined> {
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
