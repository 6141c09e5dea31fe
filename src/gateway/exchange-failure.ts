import type { ServerResponse } from 'node:http';

/** What the client is told when no server's answer can be given. */
export interface FailureAnswer {
  readonly status: 502 | 503 | 504;
  readonly reason: string;
}

const TIMEOUT_CODES = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** An error from before the request was sent: true where the server is to blame, false where the pool refused. */
export function isConnectFailure(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_CONNECT_TIMEOUT' || !code.startsWith('UND_ERR_');
}

/** RFC 9110 sections 15.6.3 and 15.6.5: a server that is too slow is 504, one that breaks off or away is 502. */
export function failureAnswer(error: unknown): FailureAnswer {
  return TIMEOUT_CODES.has(codeOf(error))
    ? { status: 504, reason: 'the server did not answer in time' }
    : { status: 502, reason: 'the connection to the server failed' };
}

export const NO_SERVER: FailureAnswer = { status: 503, reason: 'no server is open for this request' };

/** Answers by the gateway itself; says nothing of the servers behind it. */
export function answerPlainly(
  res: ServerResponse,
  answer: { status: number; reason: string; headers?: Readonly<Record<string, string>> },
): void {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  const body = `${answer.reason}\n`;
  const empty = answer.status === 204;
  res.writeHead(answer.status, {
    ...(empty
      ? {}
      : { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) }),
    ...(answer.status === 503 ? { 'Retry-After': '1' } : {}),
    ...answer.headers,
  });
  res.end(empty ? undefined : body);
}
