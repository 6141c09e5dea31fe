import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { sameAmounts, unitsToFind } from './amounts.ts';
import { attempt, VARIANTS } from './attempts.ts';
import * as errors from './error-rates.ts';
import { alikeInGroups, leastFavourableInGroups } from './strata.ts';
import { MARGINS, measureSpeed, PUBLISHED, SCENARIOS, type SpeedRow } from './speed.ts';

const WHAT_COUNTS = `
Scenarios: A .80/.30, B .11/.10, C .110/.105/.100, D .55/.54/.52/.50; δ = 5 %; looks every 4, 1,000, 2,000 and 2,000
units, every unit dealt by chance. LB: the lower bound for any rule with this δ and ε (Garivier and Kaufmann); "inferior"
are units on versions that are not the best, against the least that any shares could put there.
wrong: chose a version more than ε worse than the best. known: the means of the method as it was first measured.
`;

interface Options {
  readonly runs: number;
  readonly seed: number;
  readonly attempts: boolean;
  readonly json: boolean;
}

function whole(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It has to be a whole number above 0.');
}

function main({ runs, seed, attempts, json }: Options): void {
  const started = process.hrtime.bigint();
  const say = (what: string): void => {
    const seconds = Number((process.hrtime.bigint() - started) / 1_000_000n) / 1000;
    process.stderr.write(`${seconds.toFixed(0).padStart(4)} s  ${what}\n`);
  };
  const effort = { runs, seed };
  const speed = SCENARIOS.flatMap((scenario) =>
    MARGINS.map((margin) => {
      say(`scenario ${scenario.name}, ε = ${margin}`);
      return measureSpeed(scenario, margin, effort);
    }),
  );
  const tracked = SCENARIOS.slice(2).flatMap((scenario) =>
    MARGINS.map((margin) => {
      say(`scenario ${scenario.name}, ε = ${margin}, tracked shares`);
      return measureSpeed(scenario, margin, { ...effort, more: { tracking: true } });
    }),
  );
  say('error rates');
  const rates = errorRates(effort, say);
  const promisesKept = rates.every(({ wrong, promised }) => !(wrong > promised + sigmas(promised, runs)));
  const speedKept = speed.every(
    (row) => row.wrong <= 0.05 && row.units <= 1.05 * (PUBLISHED[row.scenario]?.[row.margin] ?? Infinity),
  );
  process.exitCode = promisesKept && speedKept ? 0 : 1;
  const pulls = [1, 0.5, 0.2, 0.1].map((rate) => ({
    rate,
    requests: errors.requestsUntilPulled(rate, 0.01, effort),
  }));
  say('amounts');
  const amounts = [1, 1.5, 2].map((sigma) => ({
    sigma,
    units: unitsToFind(sigma, { runs: Math.min(100, runs), seed }),
  }));
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ runs, seed, speed, tracked, rates, pulls, amounts }, null, 2)}\n`,
    );
    return;
  }
  process.stdout.write(
    [
      WHAT_COUNTS,
      speedTable(speed),
      'With shares that follow the gaps (`tracking`):',
      speedTable(tracked),
      rateTable(rates),
      `Requests until a version is pulled at a limit of 1 %: ${pulls.map(({ rate, requests }) => `${requests.toFixed(1)} where ${rate * 100} % fail`).join(', ')}`,
      `Units until an amount greater by a tenth is found: ${amounts.map(({ sigma, units }) => `${Math.round(units / 1000)}k at σ ${sigma}`).join(', ')}`,
      promisesKept ? 'Every promise was kept.' : 'A PROMISE WAS NOT KEPT.',
      speedKept ? 'No scenario took more than 1.05 times the known units.' : 'A SCENARIO TOOK TOO LONG.',
      ...(attempts ? [attemptTable(effort, say)] : []),
      '',
    ].join('\n'),
  );
}

/** Three standard deviations of a measured share that is p. */
function sigmas(p: number, runs: number): number {
  return Number.isNaN(p) ? Infinity : 3 * Math.sqrt((p * (1 - p)) / runs);
}

function errorRates(effort: { runs: number; seed: number }, say: (what: string) => void): errors.ErrorRow[] {
  const tasks: (() => errors.ErrorRow)[] = [
    ...[1, 5, 10, 20, 50, 100, 1000].map((count) => () => errors.looks(count, effort)),
    ...[2, 4, 8].map((arms) => () => errors.leastFavourable(arms, effort)),
    ...[2, 4].flatMap((arms) =>
      [undefined, 0.65, 0.8].map((share) => () => errors.drift(share, arms, effort)),
    ),
    () => errors.stickyAccounts('account', effort),
    () => errors.stickyAccounts('request', effort),
    ...[0.5, 0.1, 0.02].flatMap((share) =>
      [1, 1.5, 2].map((sigma) => () => sameAmounts(sigma, share, effort)),
    ),
    () => alikeInGroups('group', effort),
    () => alikeInGroups('sums', effort),
    ...[undefined, 0.65, 0.8].map((share) => () => leastFavourableInGroups(effort, share)),
    () => errors.sampleRatio(effort),
    ...[0.01, 0.02, 0.05].map((limit) => () => errors.healthyAtLimit(limit, effort)),
  ];
  return tasks.map((task) => {
    const row = task();
    say(`${row.what}: ${percent(row.wrong)}`);
    return row;
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function plain(head: string[]): Table.Table {
  return new Table({ head, style: { head: [], border: [] } });
}

function speedTable(rows: readonly SpeedRow[]): string {
  const table = plain([
    '',
    'ε',
    'units',
    '× LB',
    'inferior',
    '× LB',
    'wrong',
    'not best',
    'open',
    'known',
    '× known',
  ]);
  for (const row of rows) {
    const known = PUBLISHED[row.scenario]?.[row.margin] ?? Number.NaN;
    table.push([
      row.scenario,
      row.margin,
      Math.round(row.units),
      row.unitsRatio.toFixed(2),
      Math.round(row.inferior),
      Number.isFinite(row.inferiorRatio) ? row.inferiorRatio.toFixed(2) : '–',
      percent(row.wrong),
      percent(row.notBest),
      percent(row.open),
      known,
      (row.units / known).toFixed(2),
    ]);
  }
  return table.toString();
}

function rateTable(rows: readonly errors.ErrorRow[]): string {
  const table = plain(['where nothing differs', 'wrong', 'promised']);
  for (const { what, wrong, promised } of rows) {
    table.push([what, percent(wrong), Number.isNaN(promised) ? 'nothing' : `≤ ${percent(promised)}`]);
  }
  return table.toString();
}

function attemptTable(effort: { runs: number; seed: number }, say: (what: string) => void): string {
  const cells = SCENARIOS.slice(1).flatMap((scenario) =>
    (['gap/2', 'gap'] as const).map((margin) => ({ scenario, margin })),
  );
  const table = plain([
    '× LB of units',
    ...cells.map(({ scenario, margin }) => `${scenario.name} ${margin}`),
  ]);
  for (const variant of VARIANTS) {
    say(`attempt: ${variant.name}`);
    const ratios = cells.map(({ scenario, margin }) => attempt(scenario, margin, variant, effort).unitsRatio);
    table.push([variant.name, ...ratios.map((ratio) => ratio.toFixed(2))]);
  }
  return table.toString();
}

await new Command('bench:decision')
  .description('How soon the decision rule finds the best version, and how often it is wrong.')
  .option('--runs <count>', 'simulated trials of each kind', whole, 2000)
  .option('--seed <number>', 'the same seed gives the same table', whole, 20_260_101)
  .option('--attempts', 'also what was tried to beat it', false)
  .option('--json', 'print the numbers as JSON', false)
  .action(main)
  .parseAsync();
