/** Which exchanges a counting rule means. All that is given must hold; an empty rule matches everything. */
export interface ExchangeMatch {
  readonly method?: string;
  /** Exact path, or a prefix when it ends in `*`. The query string does not count. */
  readonly path?: string;
  /** Exact status such as `201`, or a class such as `2xx`. */
  readonly status?: string;
  /** Response header that must be present, and, where `value` is given, hold exactly that. Lower-case name. */
  readonly header?: { readonly name: string; readonly value?: string };
}

export const VOLUME_KINDS = ['successes', 'trades', 'clicks', 'amount'] as const;
export type VolumeKind = (typeof VOLUME_KINDS)[number];

/** How efficacy is counted: transaction volume ÷ allocated traffic, both at the gateway. */
export interface MeasureRules {
  /** Requests that count as allocated traffic, by method and path (known when the request is routed). */
  readonly allocated: Pick<ExchangeMatch, 'method' | 'path'>;
  readonly volume: {
    readonly kind: VolumeKind;
    readonly match: ExchangeMatch;
    /** For `amount`: the response header with the number that is added up. Lower-case name. */
    readonly amountHeader?: string;
  };
  /** A response that took longer than this counts as slow, in milliseconds. */
  readonly slowMs: number;
}

/** What gateways have to know of a plan's `measure`: where else outcomes are read is none of their business. */
export function countingRules({ allocated, volume, slowMs }: MeasureRules): MeasureRules {
  return { allocated, volume, slowMs };
}

/** A transaction of several requests: how its id is found, and when it counts as over. */
export interface TransactionRule {
  readonly id: { readonly from: 'header' | 'cookie' | 'baggage'; readonly name: string };
  /** It is over when no request of it came or was under way for this long, in milliseconds. */
  readonly idleMs: number;
  /** Optional response header by which the server says that the transaction ended. Lower-case name. */
  readonly endHeader?: string;
}

/** Upper bounds of the latency histogram, in milliseconds; a last bucket takes the rest. */
export const LATENCY_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000] as const;

/**
 * What one gateway counted since its epoch began, for one (release, server, bucket). All numbers only grow within an
 * epoch. `requests = succeeded + clientErrors + serverErrors + failed + aborted + in flight`.
 */
export interface TrafficCount {
  readonly release: string;
  readonly cluster: string;
  readonly server: string;
  /** Policy bucket, such as `tail:odd`, `range:18..35`, `hash:2.0-a`, `held-back`, `no-key`, `main`, `failover`,
   * `context` (a decision made earlier, at the edge, that the policy would make otherwise now). */
  readonly bucket: string;
  readonly requests: number;
  /** Requests that the `allocated` rule counts. */
  readonly allocated: number;
  readonly succeeded: number;
  readonly clientErrors: number;
  readonly serverErrors: number;
  /** No answer from the server: connection broken, time-out; the client got 502 or 504 from the gateway. */
  readonly failed: number;
  /** The client went away before the answer was complete. */
  readonly aborted: number;
  readonly slow: number;
  /** Exchanges that the `volume` rule counts, and the sum of their amounts. */
  readonly volumeCount: number;
  readonly volumeAmount: number;
  /** Those of them whose amount is none (`src/domain/amount.ts`): they count as 0. Absent where there are none. */
  readonly unreadAmounts?: number;
  /** Counts per bound of LATENCY_BOUNDS_MS (not cumulative), one more for what is longer. */
  readonly latency: readonly number[];
  readonly latencySumMs: number;
}
