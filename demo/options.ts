import { Command, type CommanderError, InvalidArgumentError, Option } from 'commander';

const RATE = 300;
/** Each request is several calls of the inner service besides. */
const TIERS_RATE = 120;
const BAD_INPUT = 2;

export interface DemoOptions {
  readonly interactive: boolean;
  readonly rollback: boolean;
  /** An inner service is upgraded, under a web layer that stays. */
  readonly tiers: boolean;
  /** Two HAProxies route beside an embedded gateway. */
  readonly haproxy: boolean;
  readonly keep: boolean;
  readonly json: boolean;
  /** Requests in a second, at the least. */
  readonly rate: number;
}

/** Ends the process with 2 where something is wrong with them. */
export function readOptions(argv: readonly string[]): DemoOptions {
  const given = new Command('npm run demo --')
    .description(
      'Upgrades a small service of three clusters while requests flow: two new versions compete, the better one wins.',
    )
    .option('--interactive', 'wait for you to approve the winner', false)
    .option('--rollback', 'candidates that are worse than the baseline: the upgrade rolls back', false)
    .addOption(
      new Option(
        '--tiers',
        'upgrade a service behind the web pages, which call it by sidecars; the pages stay as they are',
      )
        .conflicts('haproxy')
        .default(false),
    )
    .option('--haproxy', 'two HAProxies and an embedded gateway side by side (needs HAProxy)', false)
    .option('--keep', 'leave everything running until Ctrl-C', false)
    .option('--json', 'the result as JSON on standard output, progress on standard error', false)
    .option('--rate <number>', `requests in a second (default: ${RATE}; with --tiers ${TIERS_RATE})`, rate)
    .addHelpText(
      'after',
      `
Exit codes:
  0    every request was answered, no transaction was cut, and all servers run the same version
  1    something was lost, cut, or met two versions of the inner service, servers differ, or the upgrade did not end
       as it should
  2    these options do not go
  130  ended by Ctrl-C

Examples:
  $ npm run demo
  $ npm run demo -- --interactive --rate 500
  $ npm run demo -- --tiers
  $ npm run demo -- --haproxy
  $ npm run demo --silent -- --json > result.json`,
    )
    .exitOverride(({ exitCode }: CommanderError) => process.exit(exitCode === 0 ? 0 : BAD_INPUT))
    .parse([...argv], { from: 'user' })
    .opts<Omit<DemoOptions, 'rate'> & { rate?: number }>();
  return { ...given, rate: given.rate ?? (given.tiers ? TIERS_RATE : RATE) };
}

function rate(text: string): number {
  const value = Number(text);
  if (value >= 1 && value <= 5000) return value;
  throw new InvalidArgumentError('It has to be a number from 1 to 5000.');
}
