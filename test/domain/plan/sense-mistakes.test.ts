import { describe, expect, test } from 'vitest';
import { examplePlan, problemsAfter } from './example.ts';

/** A row per mistake that shows only across fields: what a person did, and the problem that it leads to. */
const MISTAKES: readonly [name: string, field: string, held: unknown, problem: RegExp][] = [
  [
    'two candidates of one mode',
    'candidates[1].mode',
    'home-page',
    /^candidates\[1\].mode: must lead to a cluster of its own: blue is taken by candidate 2.0-a/,
  ],
  [
    'two candidates on one cluster',
    'deployment.second-page',
    'blue',
    /^candidates\[1\].mode: must lead to a cluster of its own/,
  ],
  [
    'a mode without a cluster',
    'deployment.home-page',
    undefined,
    /^candidates\[0\].mode: must have a deployment rule/,
  ],
  [
    'a rule for an unknown mode',
    'deployment.third-page',
    'green',
    /^deployment.third-page: must be the mode of a candidate: home-page or second-page/,
  ],
  [
    'a rule to an unknown cluster',
    'deployment.home-page',
    'bleu',
    /^deployment.home-page: must be one of the clusters: main, blue or green/,
  ],
  [
    'an unknown baseline cluster',
    'baseline.cluster',
    'old',
    /^baseline.cluster: must be one of the clusters/,
  ],
  [
    'a candidate on the baseline cluster',
    'deployment.home-page',
    'main',
    /^deployment.home-page: must be another cluster than the baseline/,
  ],
  [
    'a cluster that nobody uses',
    'clusters.red',
    { servers: [{ name: 'r', url: 'http://r', agent: 'http://ra' }] },
    /^clusters.red: must be the baseline’s cluster or the target/,
  ],
  ['an empty cluster', 'clusters.blue.servers', [], /^clusters.blue.servers: must have at least one server/],
  [
    'a server in two clusters',
    'clusters.green.servers[0].name',
    'blue-1',
    /^clusters.green.servers\[0\].name: must be a server’s own name: blue-1 is in cluster blue too/,
  ],
  [
    'a server twice',
    'clusters.blue.servers[1].name',
    'blue-1',
    /blue.servers\[1\].name: .*blue-1 is twice in cluster blue/,
  ],
  [
    'one address for two servers',
    'clusters.green.servers[0].url',
    'http://10.0.2.1:8080/',
    /green.servers\[0\].url: must be an address of its own: server blue-1 has it/,
  ],
  [
    'one agent for two servers',
    'clusters.blue.servers[1].agent',
    'http://10.0.2.1:7070',
    /blue.servers\[1\].agent: must be an address of its own: the agent of blue-1/,
  ],
  [
    'a gateway at a server’s address',
    'gateways[1].admin',
    'http://10.0.2.1:8080',
    /^gateways\[1\].admin: must be an address of its own: server blue-1/,
  ],
  ['a gateway twice', 'gateways[1].name', 'gw-1', /^gateways\[1\].name: must be a gateway’s own name/],
  ['more servers needed than there are', 'minServing', 4, /^minServing: must be 3 or less/],

  [
    'a candidate of the baseline’s version',
    'candidates[0].version',
    '1.4',
    /^candidates\[0\].version: must be a version of its own: it is the version of the baseline/,
  ],
  [
    'two candidates of one version',
    'candidates[1].version',
    '2.0-a',
    /^candidates\[1\].version: must be a version of its own: it is the version of candidate 1/,
  ],
  [
    'no package for an OS of the fleet',
    'clusters.main.servers[0].os',
    'windows',
    /^candidates\[1\].packages: must have a package for windows: server main-1/,
  ],
  [
    'two packages for one OS',
    'baseline.packages[1]',
    examplePlan().baseline.packages[0],
    /^baseline.packages\[1\].os: must be an OS type of its own/,
  ],
  [
    'a package from elsewhere',
    'baseline.packages[0].path',
    'ftp://x/y',
    /packages\[0\].path: must be an absolute folder/,
  ],
  [
    'a package in a relative folder',
    'baseline.packages[0].path',
    'packages',
    /packages\[0\].path: must be an absolute folder/,
  ],
  [
    'a package address with credentials',
    'baseline.packages[0].path',
    'https://u:p@x/y',
    /path: must be an address without credentials/,
  ],

  [
    'an unknown version in the policy',
    'traffic.policy.rules[0].to',
    '2.0-c',
    /policy.rules\[0\].to: must be a version of this plan: 1.4, 2.0-a or 2.0-b/,
  ],
  [
    'an unknown version without a key',
    'traffic.withoutKey',
    '1.5',
    /^traffic.withoutKey: must be a version of this plan/,
  ],
  [
    'an unknown version as otherwise',
    'traffic.policy.otherwise',
    '1.5',
    /^traffic.policy.otherwise: must be a version of this plan/,
  ],
  [
    'a digit in two rules',
    'traffic.policy.rules[1].tail',
    [1, 2],
    /rules\[1\].tail: must not overlap: digit 1 is in rules\[0\] already/,
  ],
  [
    'digits without a home',
    'traffic.policy.rules[1].tail',
    [0, 2, 4],
    /^traffic.policy.otherwise: must be a version, because no rule says where keys that end in 6 or 8 go/,
  ],
  [
    'a candidate without traffic',
    'traffic.policy.rules[1].to',
    '2.0-a',
    /^candidates\[1\].version: must get traffic/,
  ],
  [
    'a candidate that is only left nothing',
    'traffic.policy',
    {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: '2.0-a' },
        { tail: 'even', to: '1.4' },
      ],
      otherwise: '2.0-b',
    },
    /^candidates\[1\].version: must get traffic/,
  ],
  [
    'ranges that overlap',
    'traffic.policy',
    {
      kind: 'range',
      rules: [
        { below: 35, to: '2.0-a' },
        { from: 30, to: '2.0-b' },
      ],
    },
    /policy.rules\[1\]: must not overlap rules\[0\], below 35/,
  ],
  [
    'an empty range',
    'traffic.policy',
    {
      kind: 'range',
      rules: [
        { from: 35, below: 18, to: '2.0-a' },
        { from: 30, to: '2.0-b' },
      ],
    },
    /policy.rules\[0\].below: must be more than from, 35/,
  ],
  [
    'a gap between ranges',
    'traffic.policy',
    {
      kind: 'range',
      rules: [
        { from: 18, below: 35, to: '2.0-a' },
        { from: 40, to: '2.0-b' },
      ],
    },
    /otherwise: must be a version, because no rule says where keys below 18 or from 35 to below 40 go/,
  ],
  [
    'a value twice',
    'traffic.policy',
    {
      kind: 'values',
      rules: [
        { values: ['x'], to: '2.0-a' },
        { values: ['x'], to: '2.0-b' },
      ],
      otherwise: '1.4',
    },
    /rules\[1\].values: must not overlap: value x is in rules\[0\] already/,
  ],
  [
    'values that are not all',
    'traffic.policy',
    {
      kind: 'values',
      rules: [
        { values: ['x'], to: '2.0-a' },
        { values: ['y'], to: '2.0-b' },
      ],
    },
    /otherwise: must be a version, because no rule says where keys that are not listed go/,
  ],
  [
    'weights of nothing',
    'traffic.policy',
    { kind: 'hash', weights: { '2.0-a': 0, '2.0-b': 0 } },
    /^traffic.policy.weights: must have a weight above 0/,
  ],
  [
    'a weight for an unknown version',
    'traffic.policy',
    { kind: 'hash', weights: { '2.0-a': 1, '2.0-b': 1, '3': 1 } },
    /^traffic.policy.weights.3: must be a version of this plan/,
  ],

  ['stages that shrink', 'trial.stages[1].share', '4%', /^trial.stages\[1\].share: must be more than 5%/],
  [
    'a last stage without traffic',
    'trial.stages',
    [{ share: '0%', length: '10m' }],
    /^trial.stages\[0\].share: must be more than 0%/,
  ],
  ['readings rarer than stages', 'trial.readEvery', '15m', /^trial.readEvery: must be at most 10 min/],
  [
    'everything kept on the baseline',
    'trial.baselineShare',
    '100%',
    /^trial.baselineShare: must be less than 100%/,
  ],
  [
    'an amount without its header',
    'measure.volume.kind',
    'amount',
    /^measure.volume.amountHeader: must name the response header/,
  ],
  [
    'a header without an amount',
    'measure.volume.amountHeader',
    'x-amount',
    /^measure.volume.amountHeader: must not be there: it belongs to kind amount/,
  ],
];

describe('a plan that makes no sense', () => {
  test.each(MISTAKES)('with %s says so', (_name, field, held, problem) => {
    expect(problemsAfter({ [field]: held })).toEqual(
      expect.arrayContaining([expect.stringMatching(problem)]),
    );
  });
});
