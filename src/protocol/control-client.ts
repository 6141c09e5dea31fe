import { request } from 'undici';
import type { z } from 'zod';
import { ChangeoverError, type ErrorCode } from '../domain/errors.ts';
import { errorAnswerSchema } from './errors.ts';

export interface ControlCall<T> {
  /** Origin, with or without a path, such as `http://127.0.0.1:7401`. */
  readonly baseUrl: string;
  readonly token?: string | undefined;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Begins with `/`; names in it are encoded by the caller. */
  readonly path: string;
  /** What is undefined is left out; an array repeats the name. */
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** An answer without a body (204, 304) is `undefined` to it. */
  readonly answer: z.ZodType<T>;
  /** For the whole call, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Who is called, as messages name it, such as `gateway gw-1`. */
  readonly peer: string;
  /** The code for no answer, and for an answer that is not one of a control API. */
  readonly unreachable: ErrorCode;
}

/**
 * One call of a control API, tried once.
 *
 * @throws ChangeoverError what the other side answered, or `unreachable`; the reason of `signal` where that ended it.
 */
export async function callControl<T>(call: ControlCall<T>): Promise<T> {
  const { status, text } = await exchange(call);
  const value = text === '' ? undefined : parseJson(text);
  if (status >= 400) {
    const failure = errorAnswerSchema.safeParse(value);
    if (!failure.success) throw unreachable(call, `it answered ${status} ${text.slice(0, 200)}`);
    const { code, message, details } = failure.data.error;
    throw new ChangeoverError(code, message, { details });
  }
  const answer = call.answer.safeParse(value);
  if (!answer.success) {
    const [issue] = answer.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
    throw unreachable(call, `its answer is not what this version expects: ${issue?.message ?? ''}${where}`);
  }
  return answer.data;
}

async function exchange<T>(call: ControlCall<T>): Promise<{ status: number; text: string }> {
  call.signal?.throwIfAborted();
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), call.timeoutMs);
  const cancel = (): void => ended.abort();
  call.signal?.addEventListener('abort', cancel);
  try {
    const response = await request(urlOf(call), {
      method: call.method,
      headers: {
        accept: 'application/json',
        ...call.headers,
        ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal: ended.signal,
      // The deadline is the only clock: a long poll is silent on purpose.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    return { status: response.statusCode, text: await response.body.text() };
  } catch (cause) {
    call.signal?.throwIfAborted();
    throw unreachable(
      call,
      ended.signal.aborted ? `no answer within ${call.timeoutMs} ms` : reasonOf(cause),
      cause,
    );
  } finally {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', cancel);
  }
}

function urlOf<T>(call: ControlCall<T>): URL {
  const url = new URL(call.baseUrl.replace(/\/+$/, '') + call.path);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one));
  }
  return url;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // A name that resolves to several addresses fails with an AggregateError, whose message is empty.
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(', ');
  return cause.message;
}

function unreachable<T>(call: ControlCall<T>, why: string, cause?: unknown): ChangeoverError {
  return new ChangeoverError(
    call.unreachable,
    `No usable answer from ${call.peer} at ${call.baseUrl}: ${why}.`,
    {
      cause,
    },
  );
}
