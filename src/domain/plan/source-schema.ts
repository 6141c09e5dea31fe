import { z } from 'zod';
import { armSchema, durationSchema, headerNameSchema } from './scalars.ts';

/** Where units and outcomes are read, other than at the gateways. */

/** Only these may be named, so that a plan cannot send another secret of the worker to an address of its choice. */
const ENV_MESSAGE =
  'must be the name of an environment variable of the worker that begins with CHANGEOVER_METRICS_, such as CHANGEOVER_METRICS_DB';
const secretReference = z.strictObject({
  env: z
    .string(ENV_MESSAGE)
    .regex(/^CHANGEOVER_METRICS_[A-Z0-9_]{1,100}$/, ENV_MESSAGE)
    .describe('Environment variable of the worker that holds it: plan and history have its name only'),
});

const URL_MESSAGE = 'must be an http or https address such as https://metrics.example.com';
const urlSchema = z.url({ protocol: /^https?$/, error: URL_MESSAGE, abort: true }).refine((text) => {
  if (!URL.canParse(text)) return true; // said already
  const { username, password, hash } = new URL(text);
  return username === '' && password === '' && hash === '';
}, 'must be an address without credentials or fragment: credentials go to headers, by reference');

const query = (what: string) => z.string().min(1, `must be a query`).max(20_000).describe(what);

const arms = z
  .record(armSchema, z.string().min(1, 'must be the name that the source has for this version'))
  .exactOptional()
  .describe('Version → what the source calls it, such as the name of its cluster; by default the version');
const headers = z
  .record(headerNameSchema, secretReference)
  .exactOptional()
  .describe('Request header → where its value is found, such as authorization');
const maxAge = durationSchema
  .prefault('2m')
  .describe('What the source says is refused where it is older than this');

const prometheusSchema = z
  .strictObject({
    from: z.literal('prometheus'),
    url: urlSchema.describe('Address of the Prometheus, such as http://prometheus:9090'),
    headers,
    allocated: query('PromQL of a counter of units, one series per version'),
    volume: query(
      'PromQL of a counter of outcomes, one series per version; for amount and clicks of what was capped one by one',
    ),
    squares: query('PromQL of a counter of squares of the capped amounts or clicks').exactOptional(),
    uncapped: query(
      'PromQL of a counter of amounts or clicks before they were capped, to be shown',
    ).exactOptional(),
    label: z
      .string()
      .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'must be the name of a label')
      .default('version')
      .describe('Label that names the version'),
    arms,
    settle: durationSchema
      .prefault('30s')
      .describe('Read up to this long ago: until then the last scrape is in, and slow outcomes too'),
    maxAge,
  })
  .transform(({ settle, maxAge, ...rest }) => ({ ...rest, settleMs: settle, maxAgeMs: maxAge }));

const sqlSchema = z
  .strictObject({
    from: z.literal('sql'),
    connection: secretReference.describe('Connection string of a PostgreSQL'),
    allocated: query(
      'SELECT of the units that came from $2 to before $3, one row per version of $1: arm, units',
    ),
    transactions: query(
      'SELECT of transactions and refunds from $2 to before $3 of the versions $1, a row each: arm, id, at, and where there are such: amount, currency, refunds, unit',
    ),
    arms,
    currency: z
      .string()
      .min(1, 'must be a currency such as EUR')
      .exactOptional()
      .describe('Currency that every row must have; by default any one'),
    settlement: durationSchema
      .prefault('1h')
      .describe('A transaction counts when it is this old, less what was refunded of it until then'),
    timeout: durationSchema.prefault('20s').describe('Longest time that a query may take'),
  })
  .transform(({ settlement, timeout, ...rest }) => ({
    ...rest,
    settlementMs: settlement,
    timeoutMs: timeout,
  }));

const httpSchema = z
  .strictObject({
    from: z.literal('http'),
    url: urlSchema.describe(
      'Address that answers with counts as JSON; it is asked with since, until and arm',
    ),
    headers,
    arms,
    maxAge,
  })
  .transform(({ maxAge, ...rest }) => ({ ...rest, maxAgeMs: maxAge }));

export const sourceSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('gateways') }).describe('What the gateways count'),
  prometheusSchema.describe('PromQL'),
  sqlSchema.describe('Transactions in a PostgreSQL'),
  httpSchema.describe('A service that answers with counts as JSON'),
]);

export type SourcePlan = z.output<typeof sourceSchema>;
export type PrometheusPlan = Extract<SourcePlan, { from: 'prometheus' }>;
export type SqlPlan = Extract<SourcePlan, { from: 'sql' }>;
export type HttpPlan = Extract<SourcePlan, { from: 'http' }>;
