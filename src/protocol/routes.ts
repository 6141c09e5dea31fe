import { z } from 'zod';
import type { RouteTable, TrafficSplit } from '../domain/routes/table.ts';
import type { Transition } from '../domain/routes/transitions.ts';
import { VOLUME_KINDS } from '../domain/measure.ts';

/** Schemas of route tables and transitions as they travel between controller, gateways and workers. */

const matchSchema = z.strictObject({
  method: z.string().exactOptional(),
  path: z.string().exactOptional(),
  status: z.string().exactOptional(),
  header: z.strictObject({ name: z.string(), value: z.string().exactOptional() }).exactOptional(),
});

export const measureRulesSchema = z.strictObject({
  allocated: matchSchema.pick({ method: true, path: true }),
  volume: z.strictObject({
    kind: z.enum(VOLUME_KINDS),
    match: matchSchema,
    amountHeader: z.string().exactOptional(),
  }),
  slowMs: z.number().positive(),
});

export const transactionRuleSchema = z.strictObject({
  id: z.strictObject({ from: z.enum(['header', 'cookie', 'baggage']), name: z.string() }),
  idleMs: z.number().positive(),
  endHeader: z.string().exactOptional(),
});

const lookup = { lookup: z.string().exactOptional() };
export const keySourceSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('header'), name: z.string(), ...lookup }),
  z.strictObject({ from: z.literal('cookie'), name: z.string(), ...lookup }),
  z.strictObject({ from: z.literal('query'), name: z.string(), ...lookup }),
  z.strictObject({ from: z.literal('baggage'), name: z.string(), ...lookup }),
  z.strictObject({ from: z.literal('path'), segment: z.int().positive(), ...lookup }),
]);

const otherwise = { otherwise: z.string().exactOptional() };
const weights = z.record(z.string(), z.number().nonnegative());
const target = z.union([z.string(), weights]);
const dealt = { otherwise: target.exactOptional(), salt: z.string().exactOptional() };
export const trafficPolicySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tail'),
    rules: z.array(
      z.strictObject({
        tail: z.union([z.enum(['odd', 'even']), z.array(z.int().min(0).max(9))]),
        to: z.string(),
      }),
    ),
    ...otherwise,
  }),
  z.strictObject({
    kind: z.literal('range'),
    rules: z.array(
      z.strictObject({ from: z.number().exactOptional(), below: z.number().exactOptional(), to: target }),
    ),
    ...dealt,
  }),
  z.strictObject({
    kind: z.literal('values'),
    rules: z.array(z.strictObject({ values: z.array(z.string()), to: target })),
    ...dealt,
  }),
  z.strictObject({
    kind: z.literal('hash'),
    salt: z.string(),
    weights,
  }),
]);

export const trafficSplitSchema = z.strictObject({
  key: keySourceSchema,
  policy: trafficPolicySchema,
  account: keySourceSchema.exactOptional(),
  withoutKey: z.string(),
  baseline: z.string(),
  share: z.number().min(0).max(1),
  salt: z.string(),
  pulled: z.array(z.string()),
  counting: z
    .strictObject({
      unit: z.enum(['request', 'account']),
      control: z.boolean(),
      gateways: z.array(z.string()).exactOptional(),
      cap: z.number().positive().exactOptional(),
      timeoutMs: z.number().positive(),
      windowMs: z.number().nonnegative(),
    })
    .exactOptional(),
}) satisfies z.ZodType<TrafficSplit>;

export const routeServerSchema = z.strictObject({
  name: z.string(),
  cluster: z.string(),
  url: z.url(),
  release: z.string(),
  ingress: z.enum(['open', 'draining', 'closed']),
});

export const routeTableSchema = z.strictObject({
  service: z.string(),
  version: z.int().positive(),
  mainRelease: z.string(),
  split: trafficSplitSchema.nullable(),
  servers: z.array(routeServerSchema),
  transactions: transactionRuleSchema.nullable(),
  measure: measureRulesSchema,
  upgrade: z.string().exactOptional(),
  fenced: z.literal(true).exactOptional(),
}) satisfies z.ZodType<RouteTable>;

const names = z.array(z.string());
export const transitionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('close'), servers: names }),
  z.strictObject({ kind: z.literal('seal'), servers: names }),
  z.strictObject({ kind: z.literal('open'), servers: names, release: z.string() }),
  z.strictObject({ kind: z.literal('split'), split: trafficSplitSchema }),
  z.strictObject({ kind: z.literal('share'), share: z.number().min(0).max(1) }),
  z.strictObject({ kind: z.literal('pull'), release: z.string() }),
  z.strictObject({ kind: z.literal('restore'), release: z.string() }),
  z.strictObject({ kind: z.literal('main'), release: z.string() }),
  z.strictObject({
    kind: z.literal('measure'),
    measure: measureRulesSchema,
    transactions: transactionRuleSchema.nullable(),
  }),
  z.strictObject({ kind: z.literal('remove'), servers: names }),
]) satisfies z.ZodType<Transition>;
