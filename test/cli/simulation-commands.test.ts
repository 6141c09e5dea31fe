import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { editedPlan, type Edits } from '../domain/plan/example.ts';
import { runCaptured } from './captured-context.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/example-plan.yaml', import.meta.url));

let folder: string;
let anytime: string;
let dealt: string;
let segment: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-simulate-'));
  anytime = join(folder, 'plan.yaml');
  const text = await readFile(EXAMPLE, 'utf8');
  await writeFile(
    anytime,
    text.replace(/ {2}rule: max-efficacy.*/, '  rule: anytime\n  epsilon: 1%\n  deadline: 14d'),
  );
});
beforeAll(async () => {
  const text = await readFile(EXAMPLE, 'utf8');
  const byAge = (young: string, old: string): string =>
    text
      .replace('name: x-account }', 'name: x-account, lookup: ages.csv }')
      .replace('kind: tail', 'kind: range')
      .replace('{ tail: odd, to: 2.0-a }', `{ below: 35, to: ${young} }`)
      .replace('{ tail: even, to: 2.0-b }', `{ from: 35, to: ${old} }`);
  dealt = join(folder, 'dealt.yaml');
  await writeFile(dealt, byAge('{ 2.0-a: 90, 2.0-b: 10 }', '{ 2.0-a: 10, 2.0-b: 90 }'));
  segment = join(folder, 'segment.yaml');
  await writeFile(segment, byAge('2.0-a', '2.0-b').replace(/ {2}errorsAgainstBaseline.*\n/, ''));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const NO_BASELINE = { 'trial.baselineShare': '0%', 'guardrails.errorsAgainstBaseline': undefined };
const ALONE: Edits = {
  'candidates[1]': undefined,
  'clusters.green': undefined,
  deployment: { 'home-page': 'blue' },
  'traffic.policy': { kind: 'hash', weights: { '2.0-a': 1 } },
};
const AA: Edits = {
  'candidates[0].version': '1.4',
  'candidates[1].version': '1.4',
  'candidates[0].packages[0].sha256': '0f7c2c5e4d6b8a1f3e9d7c5b3a19f8e6d4c2b0a8f6e4d2c0b8a6f4e2d0c8b6a4',
  'candidates[1].packages[0].sha256': '0f7c2c5e4d6b8a1f3e9d7c5b3a19f8e6d4c2b0a8f6e4d2c0b8a6f4e2d0c8b6a4',
  'traffic.policy': { kind: 'hash', weights: { '1.4@blue': 1, '1.4@green': 1 } },
  'decision.aaTest': true,
};

/** The example plan after edits, as a file. */
async function edited(edits: Edits): Promise<string> {
  const file = join(folder, 'edited.json');
  const plan = editedPlan(edits) as { candidates: unknown[] };
  plan.candidates = plan.candidates.filter((one) => one !== undefined);
  await writeFile(file, JSON.stringify(plan));
  return file;
}

describe('changeover simulate', () => {
  test('says how often the rule is wrong, how long it takes, and how many are exposed', async () => {
    const { exitCode, out } = await runCaptured([
      'simulate',
      anytime,
      '--rates',
      '0.1,0.13,10%',
      '--runs',
      '50',
    ]);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/2\.0-a, efficacy 13\.00 %: chosen in (9\d|100)\.\d %/);
    expect(out).toMatch(/promised {2}at most 5\.0 %, however often one looks/);
    expect(out).toMatch(/time .* on average[^]*exposed .* came to a version that is not the best/);
  });

  test('gives the same trials for the same seed, as JSON', async () => {
    const run = () => runCaptured(['simulate', anytime, '--rates', '0.1,0.12,0.1', '--runs', '20', '--json']);
    const [first, second] = [await run(), await run()];
    expect(first).toEqual(second);
    expect(JSON.parse(first.out)).toMatchObject({ runs: 20, arms: [{ version: '1.4' }, {}, {}] });
  });

  test('of groups that are dealt apart is not misled by what groups are given', async () => {
    const more = ['--rates', '0.2,0.26,0.2', '--spread', '80%', '--runs', '20', '--json'];
    const { exitCode, out } = await runCaptured(['simulate', dealt, ...more]);
    expect(exitCode).toBe(0);
    // 2.0-a is the better one, and given to those of whom few buy.
    const { arms } = JSON.parse(out) as { arms: { version: string; chosen: number }[] };
    expect(arms.find(({ version }) => version === '2.0-a')?.chosen).toBeGreaterThan(0.9);
  });

  test('of groups whose leader gets more names the same version, with fewer on the others', async () => {
    const led = join(folder, 'led.yaml');
    const text = await readFile(dealt, 'utf8');
    await writeFile(led, text.replace('epsilon: 1%', 'epsilon: 1%\n  leaderShare: 80%'));
    const more = ['--rates', '0.2,0.26,0.2', '--spread', '80%', '--runs', '50', '--json'];
    const [even, leading] = await Promise.all(
      [dealt, led].map(async (file) => {
        const { out } = await runCaptured(['simulate', file, ...more]);
        const { arms } = JSON.parse(out) as { arms: { version: string; chosen: number; units: number }[] };
        return arms;
      }),
    );
    const of = (arms: typeof even, wanted: string) => arms?.find(({ version }) => version === wanted);
    expect(of(leading, '2.0-a')?.chosen).toBeGreaterThan(0.9);
    expect(of(leading, '2.0-b')?.units).toBeLessThan(of(even, '2.0-b')?.units ?? 0);
    const { out } = await runCaptured(['plan', led, '--runs', '2']);
    expect(out).toContain('the candidate in front gets 80 % of what candidates get in each group');
  });

  test('of one candidate that nothing competes with says that it wins when the trial ends', async () => {
    const file = await edited({ ...ALONE, ...NO_BASELINE });
    const { exitCode, out } = await runCaptured(['simulate', file, '--rates', '10%', '--runs', '5']);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/2\.0-a, efficacy 10\.00 %: chosen in 100\.0 %/);
    expect(out).toMatch(/time {6}90 min on average to a verdict/);
  });

  test('counts as wrong what the rule promises against: with a margin to the baseline, less than that is none', async () => {
    const file = await edited({ ...ALONE, 'decision.nonInferiority': '5%' });
    const run = (rates: string) => runCaptured(['simulate', file, '--rates', rates, '--runs', '100']);
    const within = (await run('10%,8%')).out;
    expect(within).toMatch(/2\.0-a, efficacy 8\.00 %: chosen in [2-9]\d\.\d %/);
    expect(within).toContain(
      'wrong     0.0 % of the trials promoted a candidate that is worse than 1.4 by more than 5 percentage points\n  promised  at most 5.0 %, however often one looks\n',
    );
    expect((await run('10%,4.9%')).out).toMatch(/wrong {5}[0-5]\.\d % of the trials promoted/);
  });

  test('with a margin to the baseline says what is promised of candidates among each other', async () => {
    const file = await edited({
      'decision.nonInferiority': '5%',
      'traffic.policy': { kind: 'hash', weights: { '2.0-a': 5, '2.0-b': 95 } },
    });
    const more = ['--traffic', '200', '--runs', '100'];
    const worse = (await runCaptured(['simulate', file, '--rates', '10%,7.5%,9%', ...more])).out;
    expect(worse).toMatch(/2\.0-a, efficacy 7\.50 %: chosen in [1-9]\d\.\d %/);
    expect(worse).toMatch(
      /wrong {5}0\.0 % .* by more than 5 percentage points, or worse by more than 1 percentage point than a candidate that is no worse than 1\.4/,
    );
    expect(worse).toContain('among candidates that are all worse than 1.4 nothing is promised');
    const better = (await runCaptured(['simulate', file, '--rates', '10%,7.5%,10.5%', ...more])).out;
    expect(better).toMatch(/wrong {5}[0-5]\.\d % /);
  });

  test('of an A/A test says how often it raises a false alarm, and ends with it', async () => {
    const file = await edited(AA);
    const alike = await runCaptured(['simulate', file, '--rates', '10%,10%,10%', '--runs', '100']);
    expect(alike).toMatchObject({ exitCode: 0, err: '' });
    expect(alike.out).toMatch(
      /alarm {5}\d+\.\d % of the trials[^]*promised {2}at most 15\.0 % where nothing differs/,
    );
    expect(alike.out).not.toMatch(/chosen|wrong {2}/);
    const more = ['--rates', '10%,10%,30%', '--runs', '10', '--json'];
    const differing = JSON.parse((await runCaptured(['simulate', file, ...more])).out) as {
      alarms: number;
      timeMs: { p95: number };
    };
    expect(differing.alarms).toBe(1);
    expect(differing.timeMs.p95).toBeLessThan(3_600_000);
  });

  test('of groups with a version each says what would be needed for a winner', async () => {
    const { out } = await runCaptured(['simulate', segment, '--rates', '0.1,0.1,0.1', '--runs', '2']);
    expect(out).toContain('no error rate can be guaranteed');
    expect(out).toContain('write `to: { 2.0-a: 50, 2.0-b: 50 }` in place of one version');
  });

  test.each([
    [
      ['--rates', '0.1,0.1,0.1', '--spread', '50%'],
      /--spread is for plans whose traffic.policy deals groups/,
    ],
    [['--rates', '0.1,0.1'], /in this order: 1\.4 \(baseline\), 2\.0-a and 2\.0-b; it had 2/],
    [['--rates', '0.1,0.1,1.2'], /--rates must be shares between 0 and 1/],
    [['--rates', 'high'], /It has to be a list such as/],
    [['--rates', '0.1,0.1,0.1', '--runs', '0'], /It has to be a whole number above 0/],
  ])('refuses %j', async (more, said) => {
    const { exitCode, err } = await runCaptured(['simulate', anytime, ...more]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(said);
  });
});

describe('changeover plan', () => {
  test('says what a run would do and what serves meanwhile', async () => {
    const { exitCode, out } = await runCaptured(['plan', EXAMPLE]);
    expect(exitCode).toBe(0);
    expect(out).toContain('green-3; meanwhile 3 servers serve');
    expect(out).toMatch(/A candidate at 11\.00 % against baseline and other candidate at 10\.00 %/);
  });

  test('says how groups are dealt, or that groups are compared', async () => {
    const { out } = await runCaptured(['plan', dealt, '--runs', '2']);
    expect(out).toContain('group range:35.., dealt at random: 2.0-a 10 %, 2.0-b 90 %');
    const other = await runCaptured(['plan', segment, '--runs', '2']);
    expect(other.out).toContain('Versions were given to different groups of customers');
  });

  test('expects a time to the verdict and the accounts until then', async () => {
    const { out } = await runCaptured(['plan', anytime, '--effect', '0.03', '--runs', '20']);
    expect(out).toMatch(/A candidate at 13\.00 % against baseline and other candidate at 10\.00 %/);
    expect(out).toMatch(/verdict in 100\.0 % of the trials, after .* on average[^]*accounts in a trial/);
  });

  test('says of a trial that ends with its stages how often it ends without a verdict', async () => {
    const { out } = await runCaptured(['plan', EXAMPLE, '--runs', '100']);
    expect(out).toMatch(
      /verdict in [3-7]\d\.\d % of the trials, after \d+(\.\d)? min on average, .* within [78]\d/,
    );
    expect(out).toMatch(/[3-7]\d\.\d % ended after 90 min without a verdict\n.*decision\.deadline would let/);
  });

  test('says of the keys what the stages really draw, what stays on the baseline, and when the trial ends', async () => {
    const { out } = await runCaptured(['plan', await edited({ 'decision.deadline': '14d' }), '--runs', '1']);
    expect(out).toContain(
      '5 % for 10 min, 25 % for 20 min, 90 % for 60 min of the keys allotted to candidates\n     10 % of them stay on 1.4 to the end, to compare with\n     without a verdict it ends after 14 d\n',
    );
  });

  test('of one server that serves says so', async () => {
    const one = (name: string, host: string) => ({
      servers: [{ name, url: `http://${host}:8080`, agent: `http://${host}:7070` }],
    });
    const clusters = { main: one('main-1', '10.0.1.1'), blue: one('blue-1', '10.0.2.1') };
    const { 'clusters.green': _, ...alone } = ALONE;
    const { out } = await runCaptured(['plan', await edited({ ...alone, clusters }), '--runs', '1']);
    expect(out).toContain('blue-1; meanwhile 1 server serves\n');
  });

  test.each<[string, Edits, string]>([
    [
      'anytime',
      { decision: { rule: 'anytime' } },
      'How long a verdict takes is not known without decision.expectedRate, decision.epsilon or --effect, decision.traffic or --traffic.',
    ],
    [
      'fixed-sample, which has no epsilon',
      { decision: { rule: 'fixed-sample', unitsPerVersion: 100, expectedRate: '10%', traffic: 5 } },
      'How long a verdict takes is not known without --effect.',
    ],
    [
      'max-efficacy, whose trial has its length',
      { decision: { rule: 'max-efficacy', expectedRate: '10%', traffic: 5 } },
      'The trial is decided at its end, after 90 min: the greatest ratio wins, if each version has 1,000 requests by then.',
    ],
    [
      'amounts, which another command takes',
      {
        decision: { rule: 'anytime', cap: 500, epsilon: 0.5, traffic: 5 },
        'measure.volume': { kind: 'amount', amountHeader: 'x-amount', match: { method: 'POST' } },
      },
      'What amounts let expect is said by `changeover simulate`, whose --rates are those per account of 1.4, 2.0-a and 2.0-b.',
    ],
  ])('says what is missing for an expectation by %s', async (_rule, edits, said) => {
    const { exitCode, out } = await runCaptured(['plan', await edited(edits)]);
    expect(exitCode).toBe(0);
    expect(out).toContain(`\n${said}\n`);
  });

  test('expects the same of a plan as `simulate` does', async () => {
    const plan = ['plan', EXAMPLE, '--runs', '20', '--json'];
    const same = ['simulate', EXAMPLE, '--rates', '10%,11%,10%', '--runs', '20', '--json'];
    const { decision } = JSON.parse((await runCaptured(plan)).out) as {
      decision: { expected: { simulated: unknown } };
    };
    expect(decision.expected.simulated).toEqual(JSON.parse((await runCaptured(same)).out));
  });

  test('expects no verdict where the stages end before the planned units are there', async () => {
    const file = await edited({
      decision: { rule: 'fixed-sample', unitsPerVersion: 200_000, expectedRate: '10%' },
    });
    const { out } = await runCaptured(['plan', file, '--effect', '0.01', '--traffic', '20', '--runs', '5']);
    expect(out).toContain('no trial reaches a verdict\n  100.0 % ended after 90 min with too few accounts');
  });

  test('expects an end at the one look, whether it shows a difference or not', async () => {
    const file = await edited({
      decision: { rule: 'fixed-sample', unitsPerVersion: 1000, expectedRate: '10%' },
    });
    const { out } = await runCaptured([
      'plan',
      file,
      '--effect',
      '0.001',
      '--traffic',
      '20',
      '--runs',
      '20',
      '--json',
    ]);
    const { decision } = JSON.parse(out) as {
      decision: { expected: { simulated: { reasons: object; timeMs: { p95: number } } } };
    };
    expect(decision.expected.simulated.reasons).toHaveProperty('notSignificant');
    expect(decision.expected.simulated.timeMs.p95).toBeLessThan(3_600_000);
  });

  test('of one candidate that nothing competes with says when it wins', async () => {
    const { out } = await runCaptured(['plan', await edited({ ...ALONE, ...NO_BASELINE })]);
    expect(out).toContain('No other version competes: 2.0-a wins at the end of the trial, after 90 min');
    expect(out).not.toMatch(/against|without a verdict/);
  });

  test('of one candidate beside the baseline compares it with that alone', async () => {
    const { out } = await runCaptured(['plan', await edited(ALONE), '--runs', '2']);
    expect(out).toContain('A candidate at 11.00 % against the baseline at 10.00 %');
  });

  test('of an A/A test says how often it raises a false alarm', async () => {
    const { out } = await runCaptured(['plan', await edited(AA), '--runs', '20']);
    expect(out).toMatch(
      /1\.4, 1\.4@blue and 1\.4@green at 10\.00 %[^]*no difference in \d+\.\d % of the trials/,
    );
    expect(out).toMatch(/a false alarm in \d+\.\d % of them, at most 15\.0 % are promised/);
  });

  test('of groups with a version each expects no winner, and says no time', async () => {
    const { out } = await runCaptured(['plan', segment]);
    expect(out).toMatch(
      /No winner is named by itself.* the trial ends after 90 min, and the operator is asked/,
    );
    expect(out).not.toMatch(/on average|A candidate at/);
  });
});
