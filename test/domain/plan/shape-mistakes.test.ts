import { describe, expect, test } from 'vitest';
import { problemsAfter } from './example.ts';

/** A row per mistake within a field: what a person did, and the problem that it leads to. */
const MISTAKES: readonly [name: string, field: string, held: unknown, problem: RegExp][] = [
  ['no baseline', 'baseline', undefined, /^baseline: must be a mapping with version, cluster, packages/],
  ['a version without quotes', 'baseline.version', 1.4, /^baseline.version: must be a version in quotes/],
  ['a name in capitals', 'service', 'Wealth', /^service: must be a name: lower-case/],
  ['a text where a list belongs', 'gateways', 'gw-1', /^gateways: must be a list/],
  [
    'a word that is not offered',
    'drain.atDeadline',
    'stop',
    /^drain.atDeadline: must be one of wait, pause or force/,
  ],
  ['a duration without a unit', 'trial.readEvery', 30, /^trial.readEvery: must be a duration such as/],
  ['a duration of nothing', 'trial.readEvery', '0s', /^trial.readEvery: must be a duration longer than 0s/],
  [
    'a share above 100 %',
    'trial.stages[2].share',
    '120%',
    /stages\[2\].share: must be a share from 0% to 100%/,
  ],
  [
    'a share that is not one',
    'trial.stages[2].share',
    'all',
    /stages\[2\].share: must be a share from 0% to 100%/,
  ],
  ['half a server', 'promotion.batch', 1.5, /^promotion.batch: must be a whole number/],
  ['a batch of none', 'promotion.batch', 0, /^promotion.batch: must be more than 0/],
  [
    'an unknown policy',
    'traffic.policy.kind',
    'tial',
    /^traffic.policy.kind: must be one of tail, range, values or hash/,
  ],
  [
    'a tail that is no tail',
    'traffic.policy.rules[0].tail',
    'ood',
    /rules\[0\].tail: must be odd, even, or a list of digits/,
  ],
  ['a digit above 9', 'traffic.policy.rules[0].tail', [11], /rules\[0\].tail\[0\]: must be 9 or less/],
  [
    'a cluster name in capitals',
    'clusters.Blue',
    {},
    /^clusters.Blue: must have a key that fits: the key must be a name/,
  ],
  [
    'a key header that is none',
    'traffic.key.name',
    'x-a,1)\n    http-request deny #',
    /^traffic.key.name: must be a header name: letters, digits and ! #/,
  ],
  [
    'a cookie name with a space',
    'traffic.key',
    { from: 'cookie', name: 'card no' },
    /^traffic.key.name: must be a cookie name: letters/,
  ],
  [
    'a query parameter with its value',
    'traffic.key',
    { from: 'query', name: 'card=1' },
    /^traffic.key.name: must be a parameter name as it stands in a URL/,
  ],
  [
    'a transaction header with a parenthesis',
    'traffic.transactions.id',
    { from: 'header', name: 'x)' },
    /^traffic.transactions.id.name: must be a header name/,
  ],
  [
    'a header value of two lines',
    'measure.volume.match.header',
    { name: 'x-ok', value: 'a\nb' },
    /^measure.volume.match.header.value: must be a header value: one line/,
  ],
  [
    'a path with a space',
    'measure.volume.match.path',
    '/buy now',
    /^measure.volume.match.path: must be a path such as \/buy/,
  ],
  [
    'an address whose host is none',
    'clusters.main.servers[0].url',
    "http://a'b:80",
    /^clusters.main.servers\[0\].url: must be an http or https address/,
  ],
  [
    'an address with credentials',
    'gateways[0].admin',
    'http://bob:pw@10.0.0.1',
    /gateways\[0\].admin: must be only scheme, host and port/,
  ],
  [
    'an address that is a path',
    'gateways[0].admin',
    'http://10.0.0.1:7080/v1',
    /gateways\[0\].admin: must be only scheme/,
  ],
  [
    'a file name with folders',
    'baseline.packages[0].fileName',
    '../x.tgz',
    /fileName: must be a file name without folders/,
  ],
  [
    'a checksum that is too short',
    'baseline.packages[0].sha256',
    'abc',
    /sha256: must be a SHA-256 checksum, 64 hex digits: run/,
  ],
  [
    'a missing checksum',
    'baseline.packages[0].sha256',
    undefined,
    /sha256: must be the SHA-256 checksum of the package: run `sha256sum FILE`/,
  ],
];

describe('a plan of the wrong shape', () => {
  test.each(MISTAKES)('with %s says so', (_name, field, held, problem) => {
    expect(problemsAfter({ [field]: held })).toEqual(
      expect.arrayContaining([expect.stringMatching(problem)]),
    );
  });
});
