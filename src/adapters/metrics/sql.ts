import { Socket } from 'node:net';
import pg from 'pg';
import { z } from 'zod';
import { renderHeld } from '../../domain/plan/problem.ts';
import type { SqlPlan } from '../../domain/plan/source-schema.ts';
import type { MetricsSource } from '../../ports/metrics-source.ts';
import { onePerArm, scaledCounts, type OutcomeScale } from './counts.ts';
import { settledOutcomes, type TransactionRow } from './settled-transactions.ts';
import { secretOf, unusable } from './unusable.ts';

/** Rows of one query; one more is refused. */
const MAX_ROWS = 500_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** The database ends a query by itself first, and says why. In milliseconds. */
const GRACE_MS = 2_000;
/** https://www.postgresql.org/docs/15/datatype-oid.html, `timestamptz` in pg_type. */
const TIMESTAMPTZ = 1184;

// Numbers that JavaScript cannot hold exactly (bigint, numeric) come as text.
const numeric = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/)
    .transform(Number),
]);
const name = z.union([z.string().min(1), z.number().transform(String)]);
const unitsRow = z.object({ arm: name, units: numeric });
const transactionRow = z
  .object({
    arm: name,
    id: name,
    at: z.date(),
    amount: numeric.nullish(),
    currency: z.string().nullish(),
    refunds: name.nullish(),
    unit: name.nullish(),
  })
  .transform(({ at, ...row }): TransactionRow => ({
    arm: row.arm,
    id: row.id,
    atMs: at.getTime(),
    amount: row.amount ?? undefined,
    // `char(3)` is padded with blanks.
    currency: row.currency?.trim() ?? undefined,
    refunds: row.refunds ?? undefined,
    unit: row.unit ?? undefined,
  }));

/**
 * Units and transactions of a PostgreSQL, both in one read-only snapshot, up to what is settled. The connection string
 * stays in the worker's environment; no error repeats it.
 */
export function createSqlMetrics(
  plan: SqlPlan,
  options: OutcomeScale & { readonly env: NodeJS.ProcessEnv },
): MetricsSource {
  const { env, kind, cap } = options;
  const source = `PostgreSQL (${plan.connection.env})`;
  return {
    delayMs: plan.settlementMs,
    read: async ({ arms, since, until }, { signal }) => {
      const sinceMs = Date.parse(since);
      const untilMs = Date.parse(until);
      const endMs = Math.max(sinceMs, untilMs - plan.settlementMs);
      const at = new Date(endMs).toISOString();
      const names = arms.map((arm) => plan.arms?.[arm] ?? arm);
      const connectionString = secretOf(source, env, plan.connection.env);
      const run = { source, connectionString, timeoutMs: plan.timeoutMs, signal };
      const { units, transactions } = await inSnapshot(run, async (query) => ({
        units: rowsOf(
          source,
          'allocated',
          unitsRow,
          await query('allocated', plan.allocated, [names, since, at]),
        ),
        transactions: rowsOf(
          source,
          'transactions',
          transactionRow,
          await query('transactions', plan.transactions, [names, since, until]),
        ),
      }));
      const own = new Set(names);
      const { outcomes, notes } = settledOutcomes(
        transactions.filter(({ arm }) => own.has(arm)),
        { source, kind, cap, currency: plan.currency, sinceMs, untilMs, settlementMs: plan.settlementMs },
      );
      if (endMs === sinceMs) {
        const nothing = Object.fromEntries(arms.map((arm) => [arm, { n: 0, sum: 0 }]));
        return { at, arms: nothing, notes: [...notes, `${source}: nothing of the trial is settled yet.`] };
      }
      const entries = units.map(({ arm, units: value }) => ({ name: arm, value }));
      const n = onePerArm(source, 'the query allocated', arms, { names: plan.arms, entries });
      const counts = arms.map((arm) => {
        const { sum, squares, uncapped } = outcomes[plan.arms?.[arm] ?? arm] ?? NO_OUTCOMES[kind];
        const raw = { n: n[arm] ?? NaN, sum, squares, uncapped };
        return [arm, scaledCounts(source, arm, raw, { kind, cap })] as const;
      });
      return { at, arms: Object.fromEntries(counts), notes };
    },
  };
}

const NO_OUTCOMES = {
  successes: { sum: 0, squares: undefined, uncapped: undefined },
  trades: { sum: 0, squares: undefined, uncapped: undefined },
  clicks: { sum: 0, squares: 0, uncapped: 0 },
  amount: { sum: 0, squares: 0, uncapped: 0 },
};

type Query = (
  what: string,
  text: string,
  values: unknown[],
) => Promise<pg.QueryResult<Record<string, unknown>>>;

async function inSnapshot<T>(
  run: { source: string; connectionString: string; timeoutMs: number; signal: AbortSignal | undefined },
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const { source, connectionString, timeoutMs, signal } = run;
  signal?.throwIfAborted();
  const failed = (what: string, error: unknown): Error => {
    signal?.throwIfAborted();
    return unusable(source, `${what} (${withoutSecret(reasonOf(error), connectionString)})`);
  };
  // Ours, to be able to end it at any moment, also while it connects.
  const socket = new Socket();
  let client: pg.Client;
  try {
    client = new pg.Client({
      connectionString,
      stream: () => socket,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: timeoutMs + GRACE_MS,
      application_name: 'changeover',
    });
  } catch {
    throw unusable(
      source,
      'its connection string must be one such as postgres://user:password@host:5432/database',
    );
  }
  // What breaks the connection fails the query that is under way; without a listener it would end the process.
  client.on('error', () => undefined);
  const cancel = (): void => void socket.destroy(new Error('broken off'));
  signal?.addEventListener('abort', cancel);
  try {
    await client.connect().catch((error: unknown) => {
      throw failed('it cannot be connected to', error);
    });
    const begin = async (): Promise<void> => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await client.query(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs)}`);
      await client.query("SET LOCAL TIME ZONE 'UTC'");
    };
    await begin().catch((error: unknown) => {
      throw failed('it cannot be read', error);
    });
    return await work(async (what, text, values) => {
      // The line break ends a comment of the query's own.
      const bounded = `SELECT * FROM (${text}\n) AS counted LIMIT ${MAX_ROWS + 1}`;
      const result = await client.query<Record<string, unknown>>(bounded, values).catch((error: unknown) => {
        throw failed(`the query ${what} failed`, error);
      });
      if (result.rows.length > MAX_ROWS) {
        throw unusable(
          source,
          `the query ${what} gives more than ${MAX_ROWS} rows; add them up per unit there`,
        );
      }
      const time = result.fields.find((field) => field.name === 'at');
      if (time !== undefined && time.dataTypeID !== TIMESTAMPTZ) {
        throw unusable(source, `the column at of the query ${what} must be a timestamp with time zone`);
      }
      return result;
    });
  } finally {
    signal?.removeEventListener('abort', cancel);
    await close(client, socket);
  }
}

/** A database that does not answer any more keeps nobody waiting. */
async function close(client: pg.Client, socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), GRACE_MS);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

function rowsOf<T>(
  source: string,
  what: string,
  schema: z.ZodType<T>,
  { rows }: pg.QueryResult<Record<string, unknown>>,
): T[] {
  return rows.map((row, index) => {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    const column = String(parsed.error.issues[0]?.path[0] ?? 'row');
    const held = row[column];
    const shown = held === undefined ? 'no such column' : renderHeld(held);
    throw unusable(
      source,
      `${column} in row ${index + 1} of the query ${what} held ${shown}, and must be ${MUST_BE[column] ?? 'a text'}`,
    );
  });
}

const MUST_BE: Readonly<Record<string, string>> = {
  units: 'a number from 0',
  amount: 'a number',
  at: 'a time',
};

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : 'no reason given';
}

/** The connection string and its password, should a driver's message ever hold them. */
function withoutSecret(text: string, connectionString: string): string {
  const parsed = URL.canParse(connectionString) ? new URL(connectionString) : undefined;
  const secrets = [connectionString, parsed?.password, parsed && decodeURIComponent(parsed.password)];
  return secrets.reduce<string>(
    (rest, secret) => (secret === undefined || secret === '' ? rest : rest.replaceAll(secret, '***')),
    text,
  );
}
