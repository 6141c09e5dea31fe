import { Command, InvalidArgumentError } from 'commander';
import ms, { type StringValue } from 'ms';
import { createLoad, type LoadConfig } from './load.ts';
import { BUSINESS_KINDS, type Mix } from './mix.ts';
import type { LoadLine } from './summary.ts';

interface Options {
  readonly url: string[];
  readonly rate: number;
  readonly accounts: number;
  readonly seed: number;
  readonly mix?: Partial<Mix>;
  readonly timeout: number;
  readonly for?: number;
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}

function duration(text: string): number {
  const value = ms(text as StringValue);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It has to be a duration such as 90s or 10m.');
}

function weights(text: string): Partial<Mix> {
  const pairs = text.split(',').map((pair) => {
    const [name, weight] = pair.split('=');
    const kind = BUSINESS_KINDS.find((each) => each === name);
    const value = Number(weight);
    if (kind === undefined || !(value >= 0)) {
      throw new InvalidArgumentError(
        `"${pair}" is not a weight such as visit=30; kinds: ${BUSINESS_KINDS.join(', ')}.`,
      );
    }
    return [kind, value] as const;
  });
  return Object.fromEntries(pairs);
}

/** Resolves when the line is with whoever reads: a pipe takes a long one in parts. */
function print(line: LoadLine): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(line)}\n`, () => resolve()));
}

async function main(config: LoadConfig, endAfterMs: number | undefined): Promise<void> {
  await using load = createLoad(config);
  const ending = new Promise<void>((resolve) => {
    for (const event of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.on(event, () => resolve());
    if (endAfterMs !== undefined) setTimeout(resolve, endAfterMs);
  });
  const report = (): void => void print({ type: 'totals', totals: load.totals() });
  load.start();
  // The first line says that it sends, and that it may be stopped.
  report();
  const reporting = setInterval(report, 1000);
  await ending;
  const summary = await load.stop();
  clearInterval(reporting);
  await print({ type: 'summary', summary });
}

const command = new Command('load')
  .description(
    'Open-loop load for the demo business: prints its totals each second, and a summary at the end, as JSON lines.',
  )
  .requiredOption('--url <url...>', 'origin to send to; several take turns')
  .option('--rate <number>', 'requests in a second', positive, 300)
  .option('--accounts <number>', 'number of accounts', positive, 5000)
  .option('--seed <number>', 'the same seed sends the same business', Number, 1)
  .option('--mix <weights>', 'such as quick=66,visit=30,slow=1,transaction=3', weights)
  .option('--timeout <duration>', 'after this long a request is lost', duration, 30_000)
  .option('--for <duration>', 'ends by itself after this long; otherwise on SIGTERM or SIGINT', duration)
  .parse();

const options = command.opts<Options>();
await main(
  {
    url: options.url,
    ratePerSecond: options.rate,
    accounts: options.accounts,
    seed: options.seed,
    timeoutMs: options.timeout,
    ...(options.mix === undefined ? {} : { mix: options.mix }),
  },
  options.for,
);
// The channel to the one who started it would keep the process alive.
if (process.connected) process.disconnect();
process.exit();
