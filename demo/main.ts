import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { runDemo, startLoad, type Demo } from './demo.ts';
import { createDisplay, type Display } from './display/display.ts';
import { paintFor } from './display/paint.ts';
import { resultMarkdown } from './display/result-markdown.ts';
import { resultTable } from './display/result-table.ts';
import { readOptions, type DemoOptions } from './options.ts';
import { commandLine } from './operator.ts';
import {
  BASELINE,
  FLOATING_SECOND,
  LIVE_RATES,
  PRICING_BASELINE,
  STATIC_HOME,
  TIERED_RATES,
} from './packages.ts';
import type { DemoResult } from './result.ts';

const INTERRUPTED = 130;
/** A terminal sends one Ctrl-C to the whole group, and npm may pass it on: the second within this time is the same. */
const SAME_INTERRUPT_MS = 1_000;

const options = readOptions(process.argv.slice(2));
// Where standard output is for the JSON, the rest goes to standard error.
const stream = options.json ? process.stderr : process.stdout;
const baseline = options.tiers ? PRICING_BASELINE : BASELINE;
const [first, second] = options.tiers ? [LIVE_RATES, TIERED_RATES] : [STATIC_HOME, FLOATING_SECOND];
const candidates = options.rollback
  ? [
      { ...first, successRate: 0.1 },
      { ...second, successRate: 0.05 },
    ]
  : [first, second];
const display = createDisplay(
  stream,
  [baseline, ...candidates].map(({ version }) => version),
);
const interrupt = abortOnInterrupt(display);
// Not process.exit at once: what was written to a pipe would be cut off.
process.exitCode = await main(options);
process.exit();

async function main({ json, keep, rate }: DemoOptions): Promise<number> {
  const folder = join(
    process.cwd(),
    '.changeover',
    'demo-reports',
    new Date().toISOString().replaceAll(':', '-'),
  );
  try {
    await using demo = await runDemo(
      { options, baseline, candidates, reportDir: folder },
      { display, signal: interrupt.signal },
    );
    display.end();
    const { result } = demo;
    const files = await writeReports(folder, result);
    if (json) await write(process.stdout, `${JSON.stringify({ ...result, files }, null, 2)}\n`);
    await write(
      stream,
      `\n${resultTable(result, paintFor(stream))}\n\nReports:\n${files.map((file) => `  ${file}\n`).join('')}`,
    );
    if (keep) return await keepRunning(demo, rate);
    return result.ok ? 0 : 1;
  } catch (error) {
    display.end();
    if (interrupt.signal.aborted) return INTERRUPTED;
    await write(process.stderr, `${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function writeReports(folder: string, result: DemoResult): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files = {
    [join(folder, 'demo.json')]: `${JSON.stringify(result, null, 2)}\n`,
    [join(folder, 'demo.md')]: resultMarkdown(result),
  };
  for (const [file, text] of Object.entries(files)) await writeFileAtomic(file, text);
  const upgrade = join(folder, `${result.upgrade.upgradeId}.md`);
  return [...Object.keys(files), upgrade].map((file) => relative(process.cwd(), file));
}

/** Traffic flows on, and everything can be looked at, until Ctrl-C. */
async function keepRunning({ fleet }: Demo, rate: number): Promise<number> {
  await using _load = await startLoad(fleet, rate);
  const text = [
    `Everything runs on, at ${rate} requests/s. Have a look:`,
    `  ${fleet.temporal.uiUrl}`,
    `  ${fleet.controller.url}/metrics`,
    `  curl -i -H 'x-account: 100001' ${fleet.entrances[0]?.url ?? ''}/`,
    `  ${commandLine(fleet, 'status')}`,
    `  ${commandLine(fleet, 'report')}`,
    `  logs of all processes: ${join(fleet.folder, 'logs')}`,
    'Ctrl-C ends it.',
  ];
  await write(stream, `\n${text.join('\n')}\n`);
  if (!interrupt.signal.aborted) await once(interrupt.signal, 'abort');
  return INTERRUPTED;
}

/** The first Ctrl-C ends everything in order, the next one at once; the processes then end by themselves. */
function abortOnInterrupt(shown: Display): AbortController {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const onSignal = (): void => {
    firstAt ??= performance.now();
    if (controller.signal.aborted) {
      if (performance.now() - firstAt > SAME_INTERRUPT_MS) process.exit(INTERRUPTED);
      return;
    }
    shown.end();
    shown.say('Ending everything; Ctrl-C again forces it');
    controller.abort(new Error('interrupted'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return controller;
}

function write(to: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => to.write(text, () => resolve()));
}
