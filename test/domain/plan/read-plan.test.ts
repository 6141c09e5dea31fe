import { describe, expect, test } from 'vitest';
import { formatPlanProblems } from '../../../src/domain/plan/problem.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import { editedPlan, examplePlan, problemsAfter } from './example.ts';

describe('readPlan', () => {
  test('reads the example plan', () => {
    const read = readPlan(examplePlan());
    expect(read.ok ? '' : formatPlanProblems(read.problems)).toBe('');
  });

  test('fills in safe defaults', () => {
    const plan = examplePlan();
    delete plan.drain;
    delete plan.trial;
    delete plan.approval;
    delete plan.guardrails;
    const read = readPlan(plan);
    if (!read.ok) throw new Error(formatPlanProblems(read.problems));
    expect(read.plan.drain).toEqual({
      manner: 'together',
      batchSize: 1,
      deadlineMs: 600_000,
      atDeadline: 'pause',
    });
    expect(read.plan.approval).toBe('required');
    expect(read.plan.trial.stages.map((stage) => stage.share)).toEqual([0.05, 0.25, 1]);
    expect(read.plan.guardrails.errorRate).toEqual({ max: 0.05, minRequests: 50 });
  });

  test('takes key and transactions of a service behind others from what their edge writes', () => {
    const edits = { 'traffic.key': { from: 'baggage' }, 'traffic.transactions.id': { from: 'baggage' } };
    const read = readPlan(editedPlan(edits));
    if (!read.ok) throw new Error(formatPlanProblems(read.problems));
    expect(read.plan.traffic.key).toEqual({ from: 'baggage', name: 'changeover.key' });
    expect(read.plan.traffic.transactions?.id).toEqual({ from: 'baggage', name: 'changeover.transaction' });
    expect(problemsAfter({ 'traffic.transactions.id': { from: 'body', name: 'x' } })).toEqual([
      expect.stringMatching(/^traffic.transactions.id.from: .*header, cookie or baggage/),
    ]);
    expect(problemsAfter({ 'traffic.key': { from: 'baggage', name: 'a b' } })).toEqual([
      expect.stringMatching(/^traffic.key.name: .*must be the key of a baggage member/),
    ]);
    expect(problemsAfter({ ...edits, 'gateways[0].kind': 'haproxy' })).toEqual([
      expect.stringMatching(/^traffic.key.from: must be header or cookie: gw-1 is an HAProxy/),
      expect.stringMatching(/^traffic.transactions.id.from: must be header or cookie/),
    ]);
  });

  test('names all problems at once, of shape and of sense, in the order of the plan', () => {
    const problems = problemsAfter({
      'clusters.blue.servers[2].agent': '10.0.0.3:7070',
      'deployment.second-page': 'blue',
      gatewyas: [],
      'trial.stages[1].share': '2%',
      'candidates[0].packages[0].sha256': undefined,
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'gatewyas',
      'candidates[0].packages[0].sha256',
      'candidates[1].mode',
      'clusters.blue.servers[2].agent',
      'clusters.green',
      'trial.stages[1].share',
    ]);
  });
});

/** A row per mistake: what a person did, and the problem that it leads to. */
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

describe('a wrong plan', () => {
  test.each(MISTAKES)('with %s says so', (_name, field, held, problem) => {
    expect(problemsAfter({ [field]: held })).toEqual(
      expect.arrayContaining([expect.stringMatching(problem)]),
    );
  });

  test.each(['text', 42, null, undefined, [], [1], {}])('that is %j says what a plan is', (input) => {
    const read = readPlan(input);
    expect(read.ok).toBe(false);
  });

  test.each([
    ['gatewyas', [], 'gateways'],
    ['drain.deadlin', '1m', 'deadline'],
    ['clusters.blue.servers[0].agnet', 1, 'agent'],
    ['drain.manner', 'roling', 'rolling'],
    ['deployment.home-page', 'bleu', 'blue'],
    ['traffic.policy.rules[0].to', '2.0a', '2.0-a'],
    ['baseline.version', 1.4, '"1.4", in quotes'],
  ])('with %s: %j suggests %s', (field, held, suggestion) => {
    const read = readPlan(editedPlan({ [field]: held }));
    expect(read.ok ? [] : read.problems).toContainEqual(expect.objectContaining({ field, suggestion }));
  });

  test('is never shown with its secrets', () => {
    const read = readPlan(
      editedPlan({ 'gateways[0].admin': 'http://bob:hunter2@10.0.0.1:7080', token: 'hunter2' }),
    );
    const text = read.ok ? '' : formatPlanProblems(read.problems);
    expect(text).toContain('token held a value that is not shown');
    expect(text).not.toContain('hunter2');
  });

  test('one mistake gives one problem, not a trail of others', () => {
    expect(problemsAfter({ 'clusters.blue.servers[0].os': 'linus' })).toHaveLength(1);
    expect(problemsAfter({ 'baseline.version': 1.4 })).toHaveLength(1);
    expect(problemsAfter({ 'traffic.policy.rules[0].to': undefined })).toHaveLength(1);
    expect(problemsAfter({ clusters: undefined })).toHaveLength(1);
  });

  test('with keys that reach into JavaScript, or nested without end, is refused', () => {
    const polluted: unknown = JSON.parse('{"service": {"__proto__": {"x": 1}}}');
    expect(readPlan(polluted)).toMatchObject({ ok: false, problems: [{ field: 'service' }] });
    let deep: unknown = 1;
    for (let level = 0; level < 20_000; level += 1) deep = [deep];
    expect(readPlan(deep)).toMatchObject({ ok: false });
  });
});
