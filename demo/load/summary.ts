import { z } from 'zod';

/** What the load generator counted; the wire between its process and whoever started it. Times are epoch milliseconds. */

const count = z.int().nonnegative();
const latencyMs = z.number().nonnegative().nullable();

export const LOSS_KINDS = ['network', 'timeout', 'gatewayError', 'serverError'] as const;
/** `gatewayError`: 5xx without the software's version header; `serverError`: 5xx that the software itself answered. */
export type LossKind = (typeof LOSS_KINDS)[number];

export const lossSchema = z.object({
  at: z.number(),
  kind: z.enum(LOSS_KINDS),
  path: z.string(),
  account: z.string(),
  transaction: z.string().nullable(),
  version: z.string().nullable(),
  error: z.string(),
});
export type Loss = z.infer<typeof lossSchema>;

export const cutSchema = z.object({
  at: z.number(),
  transaction: z.string(),
  account: z.string(),
  path: z.string(),
  reason: z.string(),
});
/** A transaction that did not end on the server and version on which it began (invariant 5), or did not end. */
export type Cut = z.infer<typeof cutSchema>;

export const mixSchema = z.object({
  at: z.number(),
  business: z.string(),
  kind: z.string(),
  versions: z.array(z.string()),
});
/** Business that met more than one version of the service behind the one that it was sent to. */
export type Mix = z.infer<typeof mixSchema>;

export const versionCountSchema = z.object({
  answers: count,
  visits: count,
  bought: count,
  amount: z.number().nonnegative(),
});
export type VersionCount = z.infer<typeof versionCountSchema>;

export const loadTotalsSchema = z.object({
  at: z.number(),
  elapsedMs: z.number(),
  /** `sent = answered + lost + underWay`, at every moment. A 5xx is lost, a 4xx is answered. */
  sent: count,
  answered: count,
  lost: count,
  underWay: count,
  lostBy: z.record(z.enum(LOSS_KINDS), count),
  /** Answers by class, such as `2xx`, the lost ones with 5xx included. */
  byStatus: z.record(z.string(), count),
  /** The first 500. */
  losses: z.array(lossSchema),
  /** `started = finished + cut + underWay`. */
  transactions: z.object({ started: count, finished: count, cut: count, underWay: count }),
  /** The first 500. */
  cuts: z.array(cutSchema),
  /** Business that met more than one version of an inner service, and the first 500 of it. */
  mixed: count,
  mixes: z.array(mixSchema),
  byVersion: z.record(z.string(), versionCountSchema),
  /** Of everything but the slow requests. */
  p50Ms: latencyMs,
  p99Ms: latencyMs,
  lastSecond: z.object({ sent: count, answered: count, lost: count, p50Ms: latencyMs, p99Ms: latencyMs }),
  /** How far sending was behind its schedule, at worst: what the generator itself could not do. */
  maxLagMs: z.number().nonnegative(),
});
export type LoadTotals = z.infer<typeof loadTotalsSchema>;

export const secondSchema = z.object({
  at: z.number(),
  /** Requests sent in this second; the others count answers that came in it. */
  sent: count,
  answered: count,
  lost: count,
  byVersion: z.record(z.string(), count),
  latency: z.array(z.tuple([count, count]).readonly()).readonly(),
});
/** One second of the run. */
export type TimelineSecond = z.infer<typeof secondSchema>;

export const keyMoveSchema = z.object({
  /** When its request was sent, and answered. */
  at: z.number(),
  until: z.number(),
  account: z.string(),
  from: z.string(),
  to: z.string(),
});
/** An account whose new business was served by another version than before (see invariant 7). */
export type KeyMove = z.infer<typeof keyMoveSchema>;

export const loadSummarySchema = loadTotalsSchema.extend({
  timeline: z.array(secondSchema),
  /** Account → version that served its latest new business. */
  keys: z.record(z.string(), z.string()),
  /** The last 10,000, by the time at which the request was sent. */
  moves: z.array(keyMoveSchema),
});
export type LoadSummary = z.infer<typeof loadSummarySchema>;

/** A line that the load process prints. */
export const loadLineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('totals'), totals: loadTotalsSchema }),
  z.object({ type: z.literal('summary'), summary: loadSummarySchema }),
]);
export type LoadLine = z.infer<typeof loadLineSchema>;
