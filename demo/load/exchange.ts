import type { Reply } from './client.ts';
import type { Business, Step } from './mix.ts';
import type { LossKind } from './summary.ts';

/** One request and what became of it. */
export interface Exchange {
  readonly business: Business;
  readonly step: Step;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly durationMs: number;
  readonly reply: Reply;
}

/** Why the exchange counts as lost; undefined where it was answered. */
export function lossOf(reply: Reply): { readonly kind: LossKind; readonly error: string } | undefined {
  if (reply.status === null) return { kind: reply.timedOut ? 'timeout' : 'network', error: reply.error };
  if (reply.status < 500) return undefined;
  return { kind: reply.version === null ? 'gatewayError' : 'serverError', error: `status ${reply.status}` };
}

/** Why a transaction that began with `first` is cut by `reply`; undefined while it goes on as it should. */
export function cutOf(first: Reply, reply: Reply): string | undefined {
  const loss = lossOf(reply);
  if (loss !== undefined) return `lost: ${loss.error}`;
  if (reply.status === null || first.status === null) return 'lost';
  if (reply.status === 409) return 'the server does not know the transaction (409)';
  if (reply.status >= 300) return `status ${reply.status}`;
  if (reply.version !== first.version) return `version changed from ${first.version} to ${reply.version}`;
  if (reply.server !== first.server) return `server changed from ${first.server} to ${reply.server}`;
  return undefined;
}
