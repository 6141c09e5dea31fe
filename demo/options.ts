import { Command, InvalidArgumentError } from 'commander';

export interface DemoOptions {
  readonly interactive: boolean;
  readonly rollback: boolean;
  readonly keep: boolean;
  readonly json: boolean;
  /** Requests in a second, at the least. */
  readonly rate: number;
}

export function readOptions(argv: readonly string[]): DemoOptions {
  return new Command('npm run demo --')
    .description(
      'Upgrades a small service of three clusters while requests flow: two new versions compete, the better one wins.',
    )
    .option('--interactive', 'wait for you to approve the winner', false)
    .option('--rollback', 'candidates that are worse than the baseline: the upgrade rolls back', false)
    .option('--keep', 'leave everything running until Ctrl-C', false)
    .option('--json', 'the result as JSON on standard output, progress on standard error', false)
    .option('--rate <number>', 'requests in a second', rate, 300)
    .addHelpText(
      'after',
      `
Exit codes:
  0    every request was answered, no transaction was cut, and all servers run the same version
  1    something was lost or cut, servers differ, or the upgrade did not end as it should
  130  ended by Ctrl-C

Examples:
  $ npm run demo
  $ npm run demo -- --interactive --rate 500
  $ npm run demo --silent -- --json > result.json`,
    )
    .parse([...argv], { from: 'user' })
    .opts<DemoOptions>();
}

function rate(text: string): number {
  const value = Number(text);
  if (value >= 1 && value <= 5000) return value;
  throw new InvalidArgumentError('It has to be a number from 1 to 5000.');
}
