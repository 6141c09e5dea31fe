import type { MeasureRules, TransactionRule } from '../measure.ts';
import type { TrafficPolicy, KeySource } from '../policy/policy.ts';

/**
 * Whether new business may enter a server.
 * `open`: new requests and transactions. `draining`: only transactions that began there (invariant 5).
 * `closed`: nothing at all; its software may be changed (invariant 1).
 */
export type Ingress = 'open' | 'draining' | 'closed';

/** What may execute route tables; all of them offer the same admin API. */
export const GATEWAY_KINDS = ['embedded', 'haproxy'] as const;

export interface RouteServer {
  readonly name: string;
  readonly cluster: string;
  /** Origin to which a gateway sends requests, such as `http://10.0.0.7:8080`. */
  readonly url: string;
  /** The version that the server runs, as far as routing is concerned; traffic is drawn to releases. */
  readonly release: string;
  readonly ingress: Ingress;
}

/** How traffic is split between the baseline and the candidates while a trial runs. */
export interface TrafficSplit {
  readonly key: KeySource;
  readonly policy: TrafficPolicy;
  /**
   * By what accounts are told apart where the policy deals groups at random; absent: by the key before its look-up. It
   * has no look-up of its own.
   */
  readonly account?: KeySource;
  /** Release for requests whose key is absent or unusable (no digit at the tail, not a number …). */
  readonly withoutKey: string;
  /** Release that gets the keys which the stage holds back. */
  readonly baseline: string;
  /** Fraction (0..1) of the keys allotted to a candidate that really go there; the others stay on `baseline`. */
  readonly share: number;
  /** Salt of the hash that decides which keys the stage holds back; fixed for the whole trial, so that keys stay put. */
  readonly salt: string;
  /** Releases that were pulled (guardrail or operator): their keys go to `baseline`. */
  readonly pulled: readonly string[];
  /** What is counted for the decision; absent: nothing but the gateway's ordinary counters. */
  readonly counting?: TrialCounting;
}

/**
 * How gateways count for the decision: by unit, at its assignment, with the outcome that it has before `timeoutMs`. Units
 * are counted where the policy allotted them; what came otherwise (failover, pulled, no key) is left out.
 */
export interface TrialCounting {
  /** `account`: each key enters once, by its first window. `request`: every request that the plan counts as allocated. */
  readonly unit: 'request' | 'account';
  /** Whether the baseline takes part as control arm; else keys that stay on it are not entered yet. */
  readonly control: boolean;
  /**
   * For accounts: the gateways by which one may come, in an order that all know. Each counts the part of the accounts that
   * falls to it, so that none enters at two. Absent: each counts all that come to it.
   */
  readonly gateways?: readonly string[];
  /** An outcome of amounts or clicks above this counts as this much, and is divided by it. */
  readonly cap?: number;
  /** A unit whose outcome is not known this long after its window is over has none, in milliseconds. */
  readonly timeoutMs: number;
  /** For accounts: requests that come within this time of the first belong to the unit, in milliseconds. */
  readonly windowMs: number;
}

/**
 * What every gateway of a service executes. Versions grow strictly (invariant 4). Requests go to an open server of
 * the release that `split` names, or of `mainRelease` where there is no split.
 */
export interface RouteTable {
  readonly service: string;
  readonly version: number;
  readonly mainRelease: string;
  readonly split: TrafficSplit | null;
  readonly servers: readonly RouteServer[];
  readonly transactions: TransactionRule | null;
  readonly measure: MeasureRules;
  /**
   * The upgrade that was under way when the table was given out. Every gateway has it before anything is closed: one that
   * starts with it on its disk may have been declared gone meanwhile, and does not serve before it was given the current
   * table (invariant 2).
   */
  readonly upgrade?: string;
  /** Given to a gateway that was declared gone and does not count again yet: it does not begin to serve by it. */
  readonly fenced?: true;
}
