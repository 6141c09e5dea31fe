import { errors, Pool } from 'undici';

export interface Question {
  /** Which of the addresses; taken modulo their number. */
  readonly to: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Record<string, string>;
}

/** An answer that arrived whole, or why there is none. */
export type Reply =
  | {
      readonly status: number;
      /** The software's own headers; null where a gateway answered by itself. */
      readonly version: string | null;
      readonly server: string | null;
      /** Versions of the service behind it that were met, where it says so. */
      readonly innerVersions: readonly string[];
      readonly bought: boolean;
      readonly amount: number;
    }
  | { readonly status: null; readonly error: string; readonly timedOut: boolean };

export interface Client {
  send(question: Question): Promise<Reply>;
  /** Resolves when what is under way is answered and the connections are closed. */
  close(): Promise<void>;
}

type Headers = Record<string, string | string[] | undefined>;

function text(headers: Headers, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

function failure(error: Error): Reply {
  const timedOut =
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError ||
    error instanceof errors.ConnectTimeoutError;
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  return { status: null, error: `${code}${error.message}`, timedOut };
}

const BODY = '{"product":"harvest-12"}';

/**
 * HTTP/1.1 over as many kept connections as there are requests at once, one request at a time on each. Nothing is
 * ever sent twice: what a client would see without trying again is what is to be counted.
 */
export function createClient(urls: readonly string[], timeoutMs: number): Client {
  const pools = urls.map(
    (url) =>
      new Pool(url, {
        connections: null,
        pipelining: 1,
        connect: { timeout: timeoutMs },
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      }),
  );

  function send(question: Question): Promise<Reply> {
    const { method, path, headers } = question;
    const pool = pools[question.to % pools.length];
    return new Promise((resolve) => {
      let status = 0;
      let received: Headers = {};
      // The request is dispatched by hand: no stream and no signal per request, at half the CPU of `request()`.
      pool?.dispatch(
        { method, path, headers, body: method === 'POST' ? BODY : null },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_controller, code, answered) => {
            status = code;
            received = answered;
          },
          onResponseData: () => undefined,
          onResponseEnd: () => {
            resolve({
              status,
              version: text(received, 'x-version'),
              server: text(received, 'x-server'),
              innerVersions: text(received, 'x-pricing-version')?.split(',') ?? [],
              bought: text(received, 'x-outcome') === 'bought',
              amount: Number(text(received, 'x-amount') ?? 0),
            });
          },
          onResponseError: (_controller, error) => {
            resolve(failure(error));
          },
        },
      );
    });
  }

  return {
    send,
    close: async () => {
      await Promise.all(pools.map((pool) => pool.close()));
    },
  };
}
