import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
    expect(out).toMatch(/A candidate at 11\.00 % against baseline and other candidates at 10\.00 %/);
  });

  test('says how groups are dealt, or that groups are compared', async () => {
    const { out } = await runCaptured(['plan', dealt, '--runs', '2']);
    expect(out).toContain('group range:35.., dealt at random: 2.0-a 10 %, 2.0-b 90 %');
    const other = await runCaptured(['plan', segment, '--runs', '2']);
    expect(other.out).toContain('Versions were given to different groups of customers');
  });

  test('expects a time to the verdict and the accounts until then', async () => {
    const { out } = await runCaptured(['plan', anytime, '--effect', '0.03', '--runs', '20']);
    expect(out).toMatch(/A candidate at 13\.00 % against baseline and other candidates at 10\.00 %/);
    expect(out).toMatch(/verdict within .* on average[^]*accounts in the trial until then/);
  });
});
