import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMetricsSource } from '../../../src/adapters/metrics/create-metrics-source.ts';
import type { OutcomeScale } from '../../../src/adapters/metrics/counts.ts';
import type { MetricsReading } from '../../../src/domain/decision/source-block.ts';
import { sourceSchema } from '../../../src/domain/plan/source-schema.ts';
import { requireComponent } from '../../support/require-component.ts';
import { Prometheus, PROMETHEUS } from './support/prometheus.ts';
import { TestServer } from './support/test-server.ts';

const both = (name: string, old: number | string | undefined, young: number | string | undefined) => ({
  [`${name}{version="1.4"}`]: old,
  [`${name}{version="2.0-a"}`]: young,
});

describe.skipIf(PROMETHEUS === null && process.env.CHANGEOVER_REQUIRE_ALL !== '1')('Prometheus', () => {
  let prometheus: Prometheus;
  let since: string;
  beforeAll(async () => {
    prometheus = await Prometheus.start();
    // Explicit time of the exporter: Prometheus shows it for five minutes without a new one.
    const longAgo = Date.now() - 200_000;
    prometheus.expose({
      ...both('units', 1_000, 1_000),
      ...both('wins', 100, 100),
      ...both('falling', 10, 10),
      ...both('odd', 1, 1),
      ...both('below', 1, 1),
      ...both('old', `7 ${longAgo}`, `7 ${longAgo}`),
      ...both('gone', 5, 5),
      ...both('money', 500, 800),
      'pods{version="1.4",pod="a"}': 1,
      'pods{version="1.4",pod="b"}': 1,
      unnamed: 3,
    });
    await prometheus.shows('sum(gone)', 10);
    // Nothing of `gone` when the trial begins, though it was there before.
    prometheus.expose(both('gone', undefined, undefined));
    await prometheus.shows('sum(gone)', undefined);
    since = new Date().toISOString();
    prometheus.expose({
      ...both('units', 1_050, 1_040),
      ...both('wins', 105, 104),
      ...both('falling', 11, 4),
      ...both('odd', 1, 'NaN'),
      ...both('endless', 1, '+Inf'),
      ...both('below', -1, 1),
      ...both('gone', 6, 6),
      ...both('born', 3, 2),
      ...both('money', 560, 860),
    });
    await prometheus.shows('sum(born)', 5);
  }, 60_000);
  afterAll(() => prometheus[Symbol.asyncDispose]());

  const read = (edits: object = {}, scale: OutcomeScale = { kind: 'successes' }): Promise<MetricsReading> => {
    const plan = sourceSchema.parse({
      from: 'prometheus',
      url: prometheus.url,
      allocated: 'sum by (version) (units)',
      volume: 'sum by (version) (wins)',
      settle: '1ms',
      ...edits,
    });
    const source = createMetricsSource(plan, scale, { env: {}, allowedHosts: ['127.0.0.1'] });
    return source.read({ arms: ['1.4', '2.0-a'], since, until: new Date().toISOString() }, {});
  };

  test('is the version that Debian 12 has, or a newer one', async ({ skip }) => {
    requireComponent('Prometheus', PROMETHEUS !== null, { skip });
    const answer = await fetch(`${prometheus.url}/api/v1/status/buildinfo`);
    const { data } = (await answer.json()) as { data: { version: string } };
    expect(data.version).toMatch(/^(2\.(4[2-9]|[5-9]\d)|[3-9])/);
  });

  test('counts from what there was when the trial began', async () => {
    expect((await read()).arms).toEqual({ '1.4': { n: 50, sum: 5 }, '2.0-a': { n: 40, sum: 4 } });
  });

  test('counts a counter from 0 that first appeared during the trial, and says so', async () => {
    const { arms, notes } = await read({ volume: 'sum by (version) (born)' });
    expect(arms).toEqual({ '1.4': { n: 50, sum: 3 }, '2.0-a': { n: 40, sum: 2 } });
    expect(notes).toEqual([
      expect.stringMatching(/volume of version 1\.4 first appeared at .* and is counted from 0/),
      expect.stringMatching(/volume of version 2\.0-a first appeared/),
    ]);
  });

  test('divides capped amounts by the cap', async () => {
    const volume = { volume: 'sum by (version) (money)', uncapped: 'sum by (version) (money)' };
    expect((await read(volume, { kind: 'amount', cap: 10 })).arms).toEqual({
      '1.4': { n: 50, sum: 6, uncapped: 60 },
      '2.0-a': { n: 40, sum: 6, uncapped: 60 },
    });
  });

  test.each([
    ['a counter that fell', 'falling', /volume of version 2\.0-a fell from 10 to 4 .* must never fall/],
    ['a NaN', 'odd', /volume of version 2\.0-a held NaN at .* must be a number from 0/],
    ['an infinity', 'endless', /volume of version 2\.0-a held Infinity/],
    ['a number below 0', 'below', /volume of version 1\.4 held -1/],
    [
      'a sample that is too old',
      'old',
      /newest sample of old of version .* is of .* older than maxAge \(120 s\)/,
    ],
    [
      'two series for one version',
      'pods',
      /volume \(pods\) has 2 entries of version 1\.4, and must have one/,
    ],
    ['a series without the label', 'unnamed', /has a series without the label version.*sum by \(version\)/],
    ['a version that is missing', 'wins{version="1.4"}', /has nothing of version 2\.0-a, it held 1\.4/],
    ['nothing at all', 'no_such_counter', /has nothing of version 1\.4, it held nothing at all/],
    [
      'a counter that was away',
      'gone',
      /held nothing at .*, when the trial began, but did in the hour before/,
    ],
    [
      'more outcomes than units',
      '100 * wins',
      /outcomes of version 1\.4 held 500 and units 50, .* not be more/,
    ],
    ['a query that Prometheus refuses', 'sum by (wins', /it refused the query sum by \(wins: .*parse error/],
  ])('names %s, and makes no zero of it', async (_what, volume, message) => {
    await expect(read({ volume })).rejects.toMatchObject({
      code: 'MetricsUnusable',
      message: expect.stringMatching(message) as unknown,
    });
  });

  test('does not count from 0 where Prometheus has forgotten the beginning of the trial', async () => {
    const plan = sourceSchema.parse({
      from: 'prometheus',
      url: prometheus.url,
      allocated: 'units',
      volume: 'wins',
    });
    const source = createMetricsSource(plan, { kind: 'successes' }, { env: {}, allowedHosts: ['127.0.0.1'] });
    const query = {
      arms: ['1.4', '2.0-a'],
      since: new Date(Date.now() - 86_400_000).toISOString(),
      until: new Date(Date.now() + 30_000).toISOString(),
    };
    await expect(source.read(query, {})).rejects.toThrow(
      /knows nothing of .*keeps samples for too short a time/,
    );
  });

  test('refuses what may be incomplete, what is no Prometheus, and one that is away', async () => {
    await using warning = await TestServer.start((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        '{"status":"success","warnings":["store-1 is away"],"data":{"resultType":"matrix","result":[]}}',
      );
    });
    await expect(read({ url: warning.url })).rejects.toThrow(/with a warning.*store-1 is away/);
    await using other = await TestServer.start((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{"arms":[]}');
    });
    await expect(read({ url: other.url })).rejects.toThrow(/not one of Prometheus/);
    await expect(read({ url: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'MetricsUnusable',
      message: expect.stringMatching(/does not answer/) as unknown,
    });
  });
});
