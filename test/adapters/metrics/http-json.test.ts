import type { RequestListener, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createMetricsSource } from '../../../src/adapters/metrics/create-metrics-source.ts';
import { isPublicAddress } from '../../../src/adapters/metrics/public-address.ts';
import type { MetricsReading } from '../../../src/domain/decision/source-block.ts';
import { sourceSchema } from '../../../src/domain/plan/source-schema.ts';
import { TestServer } from './support/test-server.ts';

const SINCE = '2026-01-31T10:00:00.000Z';
const UNTIL = '2026-01-31T11:00:00.000Z';
const ARMS = ['1.4', '2.0-a'];
const GOOD = [
  { arm: '1.4', n: 100, sum: 10 },
  { arm: '2.0-a', n: 90, sum: 12 },
];

interface Options {
  readonly edits?: object;
  readonly cap?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly allowedHosts?: readonly string[];
}

async function read(listener: RequestListener, options: Options = {}): Promise<MetricsReading> {
  await using server = await TestServer.start(listener);
  const { edits, cap, env = {}, allowedHosts = ['127.0.0.1'] } = options;
  const plan = sourceSchema.parse({ from: 'http', url: server.url, ...edits });
  const kind = cap === undefined ? 'successes' : 'amount';
  const source = createMetricsSource(plan, { kind, cap }, { env, allowedHosts });
  return await source.read({ arms: ARMS, since: SINCE, until: UNTIL }, {});
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

const answering =
  (edits: object): RequestListener =>
  (_request, response) =>
    json(response, { since: SINCE, at: UNTIL, arms: GOOD, ...edits });

describe('metrics by HTTP and JSON', () => {
  test('are asked for by time and version, with headers whose values are secrets of the worker', async () => {
    let asked: string | undefined;
    let authorization: string | undefined;
    const reading = await read(
      (request, response) => {
        asked = request.url;
        ({ authorization } = request.headers);
        json(response, { since: SINCE, at: UNTIL, arms: GOOD });
      },
      {
        edits: { headers: { authorization: { env: 'CHANGEOVER_METRICS_TOKEN' } } },
        env: { CHANGEOVER_METRICS_TOKEN: 'Bearer hunter2' },
      },
    );
    expect(reading).toEqual({
      at: UNTIL,
      arms: { '1.4': { n: 100, sum: 10 }, '2.0-a': { n: 90, sum: 12 } },
      notes: [],
    });
    expect(authorization).toBe('Bearer hunter2');
    const { searchParams } = new URL(asked ?? '', 'http://localhost');
    expect([...searchParams]).toEqual([
      ['since', SINCE],
      ['until', UNTIL],
      ['arm', '1.4'],
      ['arm', '2.0-a'],
    ]);
  });

  test('capped amounts are divided by the cap, squares twice', async () => {
    const arms = ARMS.map((arm) => ({ arm, n: 10, sum: 200, squares: 10_000, uncapped: 5_000 }));
    expect((await read(answering({ arms }), { cap: 100 })).arms['1.4']).toEqual({
      n: 10,
      sum: 2,
      squares: 1,
      uncapped: 5_000,
    });
    await expect(read(answering({ arms }), { cap: 10 })).rejects.toThrow(
      /outcomes of version 1\.4 held 20 .*the cap, 10/,
    );
  });

  test('squares that were divided by the cap already are named', async () => {
    const arms = ARMS.map((arm) => ({ arm, n: 10, sum: 200, squares: 1 }));
    await expect(read(answering({ arms }), { cap: 100 })).rejects.toThrow(
      /squares of the outcomes of version 1\.4 held 1, and must be at least 3999\.\d+: 10 units with outcomes of 200/,
    );
  });

  const withArm = (edits: object) => answering({ arms: [GOOD[0], { ...GOOD[1], ...edits }] });
  test.each<[string, RequestListener, RegExp]>([
    [
      'a login page',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end('<form>password</form>');
      },
      /answered 200 with text\/html \(a login page\?\), and must answer with application\/json/,
    ],
    [
      'a redirect to a login page',
      (_request, response) => {
        response.writeHead(302, { location: '/login' });
        response.end();
      },
      /answered 302, a redirect/,
    ],
    [
      'a wrong status',
      (_request, response) => json(response, { arms: GOOD }, 503),
      /answered 503 .* must answer 200/,
    ],
    [
      'what is no JSON',
      (_request, response) => json(response, '{"since":'),
      /says that it is JSON, and is not/,
    ],
    [
      'an answer without end',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const more = (): void => {
          while (response.write(' '.repeat(65_536)));
          response.once('drain', more);
        };
        more();
      },
      /longer than 8388608 bytes/,
    ],
    ['a broken answer', (request) => request.socket.destroy(), /does not answer/],
    ['two entries for one version', answering({ arms: [...GOOD, GOOD[1]] }), /2 entries of version 2\.0-a/],
    ['a missing version', answering({ arms: [GOOD[0]] }), /nothing of version 2\.0-a, it held 1\.4/],
    ['NaN', withArm({ sum: NaN }), /arms\.1\.sum must be a number from 0/],
    ['a text for a number', withArm({ n: '90' }), /arms\.1\.n must be a number from 0/],
    ['a number below 0', withArm({ sum: -1 }), /outcomes of version 2\.0-a held -1/],
    ['a number that is no count', withArm({ n: 1e300 }), /units of version 2\.0-a held 1e\+300/],
    [
      'a total below 0 beside squares',
      withArm({ squares: 12, uncapped: -50 }),
      /before they were capped of version 2\.0-a held -50/,
    ],
    ['more outcomes than units', withArm({ sum: 91 }), /outcomes of version 2\.0-a held 91 and units 90/],
    [
      'a number beyond all bounds',
      (_request, response) =>
        json(response, `{"since":"${SINCE}","at":"${UNTIL}","arms":[{"arm":"1.4","n":1e999,"sum":1}]}`),
      /arms\.0\.n must be a number/,
    ],
    [
      'counts since another time',
      answering({ since: '2026-01-31T09:00:00Z' }),
      /counted since .*must count since/,
    ],
    ['old counts', answering({ at: '2026-01-31T10:57:59Z' }), /older than maxAge \(120 s\)/],
    ['counts of the future', answering({ at: '2026-01-31T11:00:06Z' }), /which is after now/],
  ])('%s is named, and is no zero', async (_what, listener, message) => {
    await expect(read(listener)).rejects.toMatchObject({
      code: 'MetricsUnusable',
      message: expect.stringMatching(message) as unknown,
    });
  });

  test('are read from public https addresses only, unless the worker allows the host', async () => {
    await expect(read(answering({}), { allowedHosts: [] })).rejects.toThrow(
      /must be an https address; .*CHANGEOVER_METRICS_HOSTS/,
    );
    for (const url of ['https://127.0.0.1:1', 'https://[::1]:1', 'https://169.254.169.254/latest']) {
      await expect(read(answering({}), { allowedHosts: [], edits: { url } })).rejects.toThrow(
        /address is not public/,
      );
    }
    // A name that leads inside is found out when it is resolved, by the one who then connects.
    await expect(
      read(answering({}), { allowedHosts: [], edits: { url: 'https://localhost:1' } }),
    ).rejects.toThrow(/leads to .*, which is not public/);
    expect(
      ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '64:ff9b::a01:203', '100.64.0.1'].filter(isPublicAddress),
    ).toEqual([]);
    expect(['1.1.1.1', '2606:4700:4700::1111'].filter(isPublicAddress)).toHaveLength(2);
  });

  test('an unset secret is named by its variable', async () => {
    const edits = { headers: { authorization: { env: 'CHANGEOVER_METRICS_TOKEN' } } };
    await expect(read(answering({}), { edits })).rejects.toThrow(
      /CHANGEOVER_METRICS_TOKEN, which is not set/,
    );
  });
});
