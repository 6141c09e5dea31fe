import { describe } from 'vitest';
import { createMetricsSource } from '../../src/adapters/metrics/create-metrics-source.ts';
import { sourceSchema } from '../../src/domain/plan/source-schema.ts';
import { Postgres, POSTGRES } from '../adapters/metrics/support/postgres.ts';
import { Prometheus, PROMETHEUS } from '../adapters/metrics/support/prometheus.ts';
import { TestServer } from '../adapters/metrics/support/test-server.ts';
import { metricsSourceContract } from './metrics-source-contract.ts';

const isRequired = process.env['CHANGEOVER_REQUIRE_ALL'] === '1';
const SUCCESSES = { kind: 'successes' } as const;

metricsSourceContract('over HTTP', async () => {
  const arms = new Map<string, { arm: string; n: number; sum: number }>();
  const server = await TestServer.start((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('content-type', 'application/json');
    const answer = {
      since: searchParams.get('since'),
      at: searchParams.get('until'),
      arms: [...arms.values()],
    };
    response.end(JSON.stringify(answer));
  });
  const plan = sourceSchema.parse({
    from: 'http',
    url: `${server.url}/counts?team=shop`,
    arms: { '2.0-a': 'blue' },
  });
  return {
    source: createMetricsSource(plan, SUCCESSES, { env: {}, allowedHosts: ['127.0.0.1'] }),
    since: new Date().toISOString(),
    count: async (version, { units, successes }) => {
      const arm = version === '2.0-a' ? 'blue' : version;
      const { n = 0, sum = 0 } = arms.get(arm) ?? {};
      arms.set(arm, { arm, n: n + units, sum: sum + successes });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

describe.skipIf(PROMETHEUS === null && !isRequired)('with Prometheus', () => {
  metricsSourceContract('Prometheus', async () => {
    const prometheus = await Prometheus.start();
    // Two servers per version, of which one counted before the trial.
    const held = new Map<string, number>();
    const add = (series: string, count: number): void => {
      held.set(series, (held.get(series) ?? 0) + count);
      prometheus.expose({ [series]: held.get(series) });
    };
    for (const version of ['1.4', '2.0-a']) {
      add(`requests_total{version="${version}",server="one"}`, 1_000);
      add(`purchases_total{version="${version}",server="one"}`, 100);
    }
    await prometheus.shows('sum(purchases_total)', 200);
    const plan = sourceSchema.parse({
      from: 'prometheus',
      url: prometheus.url,
      allocated: 'sum by (version) (requests_total)',
      volume: 'sum by (version) (purchases_total)',
      settle: '1ms',
    });
    return {
      source: createMetricsSource(plan, SUCCESSES, { env: {}, allowedHosts: ['127.0.0.1'] }),
      since: new Date().toISOString(),
      count: async (version, { units, successes }) => {
        add(`requests_total{version="${version}",server="two"}`, units);
        add(`purchases_total{version="${version}",server="two"}`, successes);
      },
      [Symbol.asyncDispose]: () => prometheus[Symbol.asyncDispose](),
    };
  });
});

describe.skipIf(POSTGRES === null && !isRequired)('with PostgreSQL', () => {
  metricsSourceContract('PostgreSQL', async () => {
    const postgres = await Postgres.start();
    await postgres.run(`
      CREATE TABLE visits (cluster text, at timestamptz DEFAULT clock_timestamp());
      CREATE TABLE sales (id bigserial, cluster text, at timestamptz DEFAULT clock_timestamp())`);
    const plan = sourceSchema.parse({
      from: 'sql',
      connection: { env: 'CHANGEOVER_METRICS_DB' },
      allocated:
        'SELECT cluster AS arm, count(*) AS units FROM visits WHERE cluster = ANY($1) AND at >= $2 AND at < $3 GROUP BY cluster -- per cluster',
      transactions:
        'SELECT cluster AS arm, id, at FROM sales WHERE cluster = ANY($1) AND at >= $2 AND at < $3',
      arms: { '1.4': 'main', '2.0-a': 'blue' },
      settlement: '1ms',
    });
    return {
      source: createMetricsSource(plan, SUCCESSES, {
        env: { CHANGEOVER_METRICS_DB: postgres.connectionString },
        allowedHosts: [],
      }),
      since: new Date().toISOString(),
      count: async (version, { units, successes }) => {
        const cluster = version === '1.4' ? 'main' : 'blue';
        await postgres.run('INSERT INTO visits SELECT $1 FROM generate_series(1, $2::int)', [cluster, units]);
        await postgres.run('INSERT INTO sales (cluster) SELECT $1 FROM generate_series(1, $2::int)', [
          cluster,
          successes,
        ]);
      },
      [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
    };
  });
});
