import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createMetricsSource } from '../../../src/adapters/metrics/create-metrics-source.ts';
import type { OutcomeScale } from '../../../src/adapters/metrics/counts.ts';
import type { MetricsReading } from '../../../src/domain/decision/source-block.ts';
import { sourceSchema } from '../../../src/domain/plan/source-schema.ts';
import { requireComponent } from '../../support/require-component.ts';
import { PASSWORD, Postgres, POSTGRES } from './support/postgres.ts';

const SINCE = '2026-01-31T10:00:00.000Z';
const UNTIL = '2026-01-31T12:00:00.000Z';
const EUR: OutcomeScale = { kind: 'amount', cap: 100 };

describe.skipIf(POSTGRES === null && process.env.CHANGEOVER_REQUIRE_ALL !== '1')('PostgreSQL', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await Postgres.start();
    await postgres.run(`CREATE TABLE visits (cluster text, at timestamptz);
      CREATE TABLE sales (id text, cluster text, account text, amount numeric, currency char(3), refunds text, at timestamptz)`);
  }, 60_000);
  afterAll(() => postgres[Symbol.asyncDispose]());
  beforeEach(async () => {
    await postgres.run('TRUNCATE visits, sales');
    for (const cluster of ['main', 'blue']) {
      await postgres.run("INSERT INTO visits SELECT $1, '2026-01-31T10:30Z' FROM generate_series(1, 10)", [
        cluster,
      ]);
    }
  });

  const sale = (row: {
    id: string;
    amount?: number | string;
    at?: string;
    cluster?: string;
    account?: string;
    currency?: string | null;
    refunds?: string;
  }): Promise<void> => {
    const { id, amount = 10, at = '10:30', cluster = 'blue', account, currency = 'EUR', refunds } = row;
    const values = [id, cluster, account ?? null, amount, currency, refunds ?? null, `2026-01-31T${at}Z`];
    return postgres.run('INSERT INTO sales VALUES ($1, $2, $3, $4, $5, $6, $7)', values);
  };

  const read = (
    edits: object = {},
    scale: OutcomeScale = EUR,
    options: { connection?: string; until?: string; signal?: AbortSignal } = {},
  ): Promise<MetricsReading> => {
    const plan = sourceSchema.parse({
      from: 'sql',
      connection: { env: 'CHANGEOVER_METRICS_DB' },
      allocated:
        'SELECT cluster AS arm, count(*) AS units FROM visits WHERE cluster = ANY($1) AND at >= $2 AND at < $3 GROUP BY 1',
      transactions:
        'SELECT cluster AS arm, id, at, amount, currency, refunds FROM sales WHERE cluster = ANY($1) AND at >= $2 AND at < $3',
      arms: { '1.4': 'main', '2.0-a': 'blue' },
      settlement: '1h',
      ...edits,
    });
    const env = { CHANGEOVER_METRICS_DB: options.connection ?? postgres.connectionString };
    const source = createMetricsSource(plan, scale, { env, allowedHosts: [] });
    const { until = UNTIL, signal } = options;
    return source.read({ arms: ['1.4', '2.0-a'], since: SINCE, until }, { signal });
  };
  const perAccount = {
    transactions:
      'SELECT cluster AS arm, id, at, amount, currency, account AS unit FROM sales WHERE cluster = ANY($1) AND at >= $2 AND at < $3',
  };

  test('counts amounts that are settled, each capped, with what was there before the cap', async ({
    skip,
  }) => {
    requireComponent('PostgreSQL', POSTGRES !== null, { skip });
    await sale({ id: 'a', amount: '50.00' });
    await sale({ id: 'b', amount: 1_000 });
    await sale({ id: 'not settled', amount: 70, at: '11:00' });
    await postgres.run("INSERT INTO visits VALUES ('blue', '2026-01-31T11:30Z')");
    expect(await read()).toEqual({
      at: '2026-01-31T11:00:00.000Z',
      arms: {
        '1.4': { n: 10, sum: 0, squares: 0, uncapped: 0 },
        '2.0-a': { n: 10, sum: 1.5, squares: 1.25, uncapped: 1_050 },
      },
      notes: [],
    });
  });

  test('adds up what one account bought before it is capped, and counts it once', async () => {
    await sale({ id: 'a', amount: 60, account: 'x' });
    await sale({ id: 'b', amount: 60, account: 'x' });
    await sale({ id: 'c', amount: 30, account: 'y' });
    const { arms } = await read(perAccount);
    expect(arms['2.0-a']).toEqual({ n: 10, sum: 1.3, squares: 1.09, uncapped: 150 });
    expect((await read(perAccount, { kind: 'successes' })).arms['2.0-a']).toEqual({ n: 10, sum: 2 });
  });

  test('drops duplicates, and takes off refunds that came in time, by id or by reference', async () => {
    await sale({ id: 'twice', amount: 40 });
    await sale({ id: 'twice', amount: 40, at: '10:31' });
    await sale({ id: 'back', amount: 40 });
    await sale({ id: 'back', amount: -15, at: '11:10' });
    await sale({ id: 'r-1', amount: 25, refunds: 'back', at: '11:20' });
    await sale({ id: 'r-1', amount: 25, refunds: 'back', at: '11:20' });
    await sale({ id: 'too late', amount: 20 });
    await sale({ id: 'too late', amount: -20, at: '11:31' });
    await sale({ id: 'r-2', amount: 5, refunds: 'last year' });
    const { arms, notes } = await read();
    expect(arms['2.0-a']).toMatchObject({ sum: 0.6, uncapped: 60 });
    expect(notes).toEqual([
      expect.stringMatching(/2 duplicate rows were dropped/),
      expect.stringMatching(/1 refunds came after the settlement time/),
      expect.stringMatching(/1 refunds are of transactions that are not there/),
    ]);
    // What was refunded altogether is no success.
    expect((await read({}, { kind: 'trades' })).arms['2.0-a']).toEqual({ n: 10, sum: 2 });
  });

  test('what was counted up to a moment never changes later', async () => {
    await sale({ id: 'a', amount: 40 });
    await sale({ id: 'a', amount: -15, at: '11:29' });
    await sale({ id: 'a', amount: -25, at: '11:45' });
    const early = await read({}, EUR, { until: '2026-01-31T11:40:00Z' });
    expect((await read()).arms).toEqual(early.arms);
  });

  test('before anything can be settled it counts nothing, and says so', async () => {
    const reading = await read({}, EUR, { until: '2026-01-31T10:59:00Z' });
    expect(reading).toEqual({
      at: SINCE,
      arms: { '1.4': { n: 0, sum: 0 }, '2.0-a': { n: 0, sum: 0 } },
      notes: [expect.stringMatching(/nothing of the trial is settled yet/)],
    });
  });

  const wrong: [string, () => Promise<unknown>, object, RegExp][] = [
    [
      'a second currency',
      async () => (await sale({ id: 'a' }), sale({ id: 'b', currency: 'USD' })),
      {},
      /transaction [ab] has the currency (USD|EUR), and must have (EUR|USD)/,
    ],
    [
      'a row without a currency',
      () => sale({ id: 'a', currency: null }),
      { currency: 'EUR' },
      /transaction a has the currency none, and must have EUR/,
    ],
    [
      'an id with two amounts',
      async () => (await sale({ id: 'a' }), sale({ id: 'a', amount: 11 })),
      {},
      /transaction a is there twice, with amount (10 and 11|11 and 10)/,
    ],
    [
      'an id in two versions',
      async () => (await sale({ id: 'a' }), sale({ id: 'a', cluster: 'main' })),
      {},
      /transaction a is there twice, with arm/,
    ],
    [
      'more refunded than sold',
      async () => (await sale({ id: 'a' }), sale({ id: 'a', amount: -11, at: '10:40' })),
      {},
      /transaction a has -1 left after its refunds/,
    ],
    [
      'NaN',
      () => sale({ id: 'a', amount: 'NaN' }),
      {},
      /amount in row 1 of the query transactions held "NaN", and must be a number/,
    ],
    ['infinity', () => sale({ id: 'a', amount: 'Infinity' }), {}, /amount in row 1 .* held "Infinity"/],
    [
      'a version without units',
      () => postgres.run("DELETE FROM visits WHERE cluster = 'blue'"),
      {},
      /query allocated has nothing of version 2\.0-a \(there: blue\), it held main/,
    ],
    [
      'two rows for one version',
      async () => undefined,
      {
        allocated:
          "SELECT 'main' AS arm, 5 AS units FROM visits WHERE $1::text[] IS NOT NULL AND at >= $2 AND at < $3",
      },
      /allocated has 20 entries of version 1\.4 \(there: main\)/,
    ],
    [
      'more successes than units',
      async () => (
        await postgres.run(
          'DELETE FROM visits WHERE ctid NOT IN (SELECT min(ctid) FROM visits GROUP BY cluster)',
        ),
        await sale({ id: 'a', amount: 99 }),
        sale({ id: 'b', amount: 99 })
      ),
      {},
      /outcomes of version 2\.0-a held 1\.98 .* and units 1, and must not be more/,
    ],
    [
      'rows from outside of the trial',
      () => sale({ id: 'a', at: '09:59' }),
      {
        transactions:
          'SELECT cluster AS arm, id, at, amount, currency FROM sales WHERE cluster = ANY($1) AND at < greatest($2::timestamptz, $3::timestamptz)',
      },
      /transaction a is of 2026-01-31T09:59:00\.000Z, and must be from 2026-01-31T10:00/,
    ],
    [
      'a missing column',
      () => sale({ id: 'a' }),
      {
        transactions:
          'SELECT cluster, id, at, amount FROM sales WHERE cluster = ANY($1) AND at >= $2 AND at < $3',
      },
      /arm in row 1 .* held no such column/,
    ],
    [
      'a time without its zone',
      async () => undefined,
      {
        transactions:
          'SELECT cluster AS arm, id, at::timestamp AS at, amount FROM sales WHERE cluster = ANY($1) AND at >= $2 AND at < $3',
      },
      /column at .* must be a timestamp with time zone/,
    ],
    [
      'a query that is none',
      async () => undefined,
      { allocated: 'SELECT FORM visits' },
      /the query allocated failed \(/,
    ],
    [
      'a query that writes',
      async () => undefined,
      { allocated: 'DELETE FROM visits RETURNING 1' },
      /the query allocated failed \(/,
    ],
    [
      'a function that writes',
      async () => undefined,
      {
        allocated:
          "SELECT 'main' AS arm, nextval('ids') AS units FROM visits WHERE cluster = ANY($1) AND at >= $2 AND at < $3",
      },
      /read-only transaction/,
    ],
    [
      'a query that takes too long',
      async () => undefined,
      {
        timeout: '50ms',
        allocated:
          "SELECT 'main' AS arm, 1 AS units FROM pg_sleep(60) WHERE $1::text[] IS NOT NULL AND $2::timestamptz < $3::timestamptz",
      },
      /the query allocated failed \(canceling statement due to statement timeout\)/,
    ],
  ];
  test.each(wrong)('names %s, and makes no zero of it', async (_what, prepare, edits, message) => {
    await postgres.run('CREATE SEQUENCE IF NOT EXISTS ids');
    await prepare();
    await expect(read(edits)).rejects.toMatchObject({
      code: 'MetricsUnusable',
      message: expect.stringMatching(message) as unknown,
    });
  });

  test('can be broken off while a query runs', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const reading = read(
      {
        allocated:
          "SELECT 'main' AS arm, 1 AS units FROM pg_sleep(60) WHERE $1::text[] IS NOT NULL AND $2::timestamptz < $3::timestamptz",
      },
      EUR,
      { signal: controller.signal },
    );
    const isAsleep =
      "DO $$ BEGIN ASSERT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'); END $$";
    await expect
      .poll(() =>
        postgres.run(isAsleep).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  test('no error repeats the connection string or its password', async () => {
    const { connectionString } = postgres;
    const attempts = [
      connectionString.replace(PASSWORD, `${PASSWORD}-wrong`),
      connectionString.replace('postgres://bank', 'postgres://nobody'),
      connectionString.replace(/:\d+\//, ':1/'),
      connectionString.replace('/postgres', '/no-such-database'),
      `postgres://bank:${PASSWORD}@127.0.0.1:port/postgres`,
      `${PASSWORD} is no address`,
    ];
    for (const connection of attempts) {
      const error: unknown = await read({}, EUR, { connection }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'MetricsUnusable' });
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(PASSWORD);
    }
  });
});
