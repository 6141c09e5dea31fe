import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMetricsSource } from '../../src/adapters/metrics/create-metrics-source.ts';
import { recordedVerdicts } from '../../src/cli/recorded-decisions.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import * as messages from '../../src/workflows/messages.ts';
import { Postgres, POSTGRES } from '../adapters/metrics/support/postgres.ts';
import { Prometheus, PROMETHEUS } from '../adapters/metrics/support/prometheus.ts';
import { TestServer } from '../adapters/metrics/support/test-server.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import type { InMemoryWorld } from '../support/in-memory-world.ts';
import { requireComponent } from '../support/require-component.ts';
import { startTemporalBench, type RunningUpgrade, type TemporalBench } from './temporal-bench.ts';

/** Runs that decide by what a real Prometheus, and a real PostgreSQL, count; only routes and servers are in memory. */
let bench: TemporalBench;
let prometheus: Prometheus;
let postgres: Postgres;
beforeAll(async () => {
  await Promise.all([
    startTemporalBench().then((started) => (bench = started)),
    PROMETHEUS === null
      ? undefined
      : Prometheus.start().then((started) => {
          prometheus = started;
          // It looks for what to scrape a few seconds after its start.
          return prometheus.shows('up', 1);
        }),
    POSTGRES === null ? undefined : Postgres.start().then((started) => (postgres = started)),
  ]);
});
afterAll(async () => {
  if (PROMETHEUS !== null) await prometheus[Symbol.asyncDispose]();
  if (POSTGRES !== null) await postgres[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const SAME = { '1.4': 0.5, '2.0-a': 0.5, '2.0-b': 0.5 };
const VERSIONS = Object.keys(SAME);

/** Two stages, so that the routes change while the source is read; the second one lasts until a decision. */
function planOf(source: NonNullable<PlanInput['measure']['source']>): PlanInput {
  const { measure, ...rest } = examplePlanInput();
  return {
    ...rest,
    measure: { ...measure, source },
    trial: {
      stages: [
        { share: '50%', length: '1s' },
        { share: '90%', length: '10m' },
      ],
      readEvery: '300ms',
      baselineShare: '10%',
    },
    decision: { rule: 'anytime', epsilon: '0.5%', outcomeWithin: '100ms' },
  };
}

/** Customers that come all the time, as the routes deal them, and buy at the rates of the world. */
async function business(
  world: InMemoryWorld,
  count: (version: string, units: number, successes: number) => Promise<void>,
): Promise<AsyncDisposable> {
  const ended = new AbortController();
  const tick = async (): Promise<void> => {
    const share = world.table.split?.share ?? 0;
    const part = (version: string): number => (version === '1.4' ? 1 - share : share / 2);
    for (const version of VERSIONS) {
      const units = Math.round(40 * part(version));
      await count(version, units, Math.round(units * (world.rates[version] ?? 0)));
    }
  };
  await tick();
  const going = (async () => {
    while (!ended.signal.aborted) {
      await pause(50);
      await tick();
    }
  })();
  return {
    [Symbol.asyncDispose]: () => {
      ended.abort();
      return going;
    },
  };
}

const isUnusable = ({ problems }: UpgradeStatus): boolean =>
  problems.some(({ code, where }) => code === 'MetricsUnusable' && where === 'metrics source');

/** The operator is told, and what was counted stays what it was: nothing becomes a zero, and nothing is decided. */
async function expectTold(run: RunningUpgrade, message: RegExp): Promise<void> {
  const told = await run.until(isUnusable);
  expect(told.problems.map((problem) => problem.message).join()).toMatch(message);
  expect(told).toMatchObject({ phase: 'trial', verdict: { kind: 'collecting' } });
  for (const { units } of armsOf(told)) expect(units).toBeGreaterThan(0);
}

async function expectMended(run: RunningUpgrade): Promise<void> {
  const { trial } = await run.handle.query(messages.statusQuery);
  await run.until((status) => status.problems.length === 0 && status.trial.readings > trial.readings);
}

async function expectWinner(run: RunningUpgrade): Promise<UpgradeStatus> {
  const status = await run.until(({ phase }) => phase === 'awaitingApproval');
  expect(status.verdict).toMatchObject({ rule: 'anytime', kind: 'winner', winner: '2.0-a' });
  await run.handle.signal(messages.approveSignal, { by: 'anna' });
  expect(await run.handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });
  const verdicts = recordedVerdicts(await run.handle.fetchHistory());
  expect(
    verdicts.filter(({ rules, agrees, differs }) => rules !== 'same' || !agrees || differs.length > 0),
  ).toEqual([]);
  expect(verdicts.map(({ recorded }) => recorded.kind)).toContain('winner');
  return status;
}

function armsOf({ verdict }: UpgradeStatus): readonly { readonly units: number }[] {
  return verdict !== null && 'comparisons' in verdict ? verdict.arms : [];
}

function notesOf({ verdict }: UpgradeStatus): string {
  return verdict !== null && 'comparisons' in verdict ? verdict.notes.join('\n') : '';
}

describe('a run that decides by what Prometheus counts', () => {
  const queries = {
    allocated: 'sum by (version) (accounts_total)',
    volume: 'sum by (version) (purchases_total)',
    settle: '200ms',
  };
  const held = new Map<string, number>();
  const count = async (version: string, units: number, successes: number): Promise<void> => {
    for (const [name, more] of Object.entries({ accounts_total: units, purchases_total: successes })) {
      const series = `${name}{version="${version}"}`;
      held.set(series, (held.get(series) ?? 0) + more);
    }
    prometheus.expose(Object.fromEntries(held));
  };

  test('says so while it is away or somebody else answers, and decides by its numbers', async (context) => {
    requireComponent('Prometheus', PROMETHEUS !== null, context);
    let isLogin = false;
    await using front = await TestServer.start((request, response) => {
      if (isLogin) {
        response.setHeader('content-type', 'text/html');
        response.end('<html><form>Password</form></html>');
        return;
      }
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = 'GET', headers } = request;
        const body = method === 'GET' ? null : Buffer.concat(chunks);
        const type = headers['content-type'] ?? 'text/plain';
        void fetch(`${prometheus.url}${request.url ?? '/'}`, {
          method,
          body,
          headers: { 'content-type': type },
        })
          .then(async (answer) => {
            response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
            response.end(await answer.text());
          })
          .catch(() => response.destroy());
      });
    });
    const plan = planOf({ from: 'prometheus', url: front.url, maxAge: '1s', ...queries });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = SAME;
      world.metrics = (source, scale) =>
        createMetricsSource(source, scale, { env: {}, allowedHosts: ['127.0.0.1'] });
    });
    await using _going = await business(run.world, count);
    await run.until(({ routes, trial }) => routes.share === 0.9 && trial.readings > 2 && routes.applied);

    isLogin = true;
    await expectTold(run, /text\/html/);
    isLogin = false;
    await expectMended(run);

    prometheus.scraped.isAway = true;
    await expectTold(run, /must be there at|older than maxAge/);
    prometheus.scraped.isAway = false;
    await expectMended(run);

    run.world.rates = { '1.4': 0.2, '2.0-a': 0.8, '2.0-b': 0.3 };
    const decided = await expectWinner(run);
    expect(notesOf(decided)).toMatch(/Checked: the accounts that the source counts of all candidates/);
    expect(notesOf(decided)).toMatch(/Left out: \d+ stretch(es)? of the source/);
  });

  test('a counter that falls ends all deciding: the operator is told, and aborts', async (context) => {
    requireComponent('Prometheus', PROMETHEUS !== null, context);
    const plan = planOf({ from: 'prometheus', url: prometheus.url, ...queries });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = SAME;
      world.metrics = (source, scale) =>
        createMetricsSource(source, scale, { env: {}, allowedHosts: ['127.0.0.1'] });
    });
    const going = await business(run.world, count);
    await run.until((status) => armsOf(status).some(({ units }) => units > 0));
    await going[Symbol.asyncDispose]();
    prometheus.expose({ 'accounts_total{version="2.0-a"}': 1, 'purchases_total{version="2.0-a"}': 1 });
    await expectTold(run, /version 2\.0-a (fell|went) from \d+ to 1\b/);
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'counters began anew' });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack' });
    // Told from the beginning, for by accounts is the default.
    expect(report.notes.join()).toContain('measure.source has to count accounts, each once');
  });
});

describe('a run that decides by what PostgreSQL has', () => {
  test('says so while its tables are not there, and decides by their rows', async (context) => {
    requireComponent('PostgreSQL', POSTGRES !== null, context);
    await postgres.run(`
      CREATE TABLE visits (version text, units int, at timestamptz DEFAULT clock_timestamp());
      CREATE TABLE sales (id bigserial, version text, at timestamptz DEFAULT clock_timestamp())`);
    const plan = planOf({
      from: 'sql',
      connection: { env: 'CHANGEOVER_METRICS_DB' },
      allocated:
        'SELECT version AS arm, sum(units) AS units FROM visits WHERE version = ANY($1) AND at >= $2 AND at < $3 GROUP BY version',
      transactions:
        'SELECT version AS arm, id, at FROM sales WHERE version = ANY($1) AND at >= $2 AND at < $3',
      settlement: '200ms',
    });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = SAME;
      world.metrics = (source, scale) =>
        createMetricsSource(source, scale, {
          env: { CHANGEOVER_METRICS_DB: postgres.connectionString },
          allowedHosts: [],
        });
    });
    await using _going = await business(run.world, async (version, units, successes) => {
      await postgres.run('INSERT INTO visits VALUES ($1, $2)', [version, units]);
      await postgres.run('INSERT INTO sales (version) SELECT $1 FROM generate_series(1, $2::int)', [
        version,
        successes,
      ]);
    });
    await run.until(({ routes, trial }) => routes.share === 0.9 && trial.readings > 2 && routes.applied);

    // Their rows go on to come in meanwhile, under another name.
    await postgres.run('ALTER TABLE sales RENAME COLUMN at TO sold_at');
    await expectTold(run, /query transactions failed \(column "at" does not exist\)/);
    await postgres.run('ALTER TABLE sales RENAME COLUMN sold_at TO at');
    await expectMended(run);

    run.world.rates = { '1.4': 0.2, '2.0-a': 0.8, '2.0-b': 0.3 };
    const decided = await expectWinner(run);
    expect(notesOf(decided)).toMatch(/Left out: \d+ stretch(es)? of the source/);
  });
});
