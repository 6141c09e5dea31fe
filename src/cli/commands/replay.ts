import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { print, printJson, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import type { RecordedVerdict } from '../recorded-decisions.ts';
import type { ReplayResult } from '../replay-histories.ts';

export function replayCommand({ env, out }: CliContext): Command {
  return new Command('replay')
    .description(
      'check a recorded upgrade: that this version would do the same, and that its numbers lead to its verdicts',
    )
    .argument('<history>', 'workflow id, or a file of `temporal workflow show --output json`')
    .option('--json', 'answer as JSON: a list of runs {runId, events, deviation, verdicts, signals}')
    .addHelpText(
      'after',
      `
Of an upgrade that continued as new, all runs are replayed. Verdicts are derived from the recorded numbers alone: what
was decided has to follow from them. How it is told may change from version to version, and is shown where it does.

Examples:
  $ changeover replay upgrade-wealth
  $ temporal workflow show -w upgrade-wealth --output json > history.json && changeover replay history.json`,
    )
    .action(async (target: string, { json = false }: { json?: boolean }) => {
      const { fetchHistories, readHistory, replayRun, silenceRuntime } =
        await import('../replay-histories.ts');
      const runs = existsSync(target) ? await readHistory(target) : await fetchHistories(env, target);
      silenceRuntime();
      const results: ReplayResult[] = [];
      for (const run of runs) results.push(await replayRun(run));
      if (json) printJson(out, results);
      else for (const result of results) print(out, describeReplay(result));
      if (!results.every(isSound)) throw new CliFailure(EXIT.failed);
    });
}

function isSound({ deviation, verdicts }: ReplayResult): boolean {
  return deviation === null && verdicts.every((verdict) => verdict.agrees);
}

function describeReplay({ runId, events, deviation, verdicts, signals }: ReplayResult): string {
  const agreeing = verdicts.filter((verdict) => verdict.agrees).length;
  const decided = verdicts.filter(({ agrees, recorded }) => !agrees || recorded.kind !== 'collecting');
  const told = (of: 'words' | 'evidence'): number =>
    verdicts.filter(({ agrees, differs }) => agrees && differs.includes(of)).length;
  const others = [
    ...(told('words') > 0 ? [`  ${told('words')} of them this version tells in other words`] : []),
    ...(told('evidence') > 0
      ? [
          `  ${told('evidence')} of them were read by an earlier version of the rules, which kept other evidence for later readings; the verdict is the same`,
        ]
      : []),
  ];
  return [
    `run ${runId}, ${events} events`,
    deviation === null
      ? '  this version of the workflow does the same'
      : `  this version of the workflow would do otherwise: ${deviation}`,
    `  ${agreeing} of ${verdicts.length} verdicts follow from the recorded numbers`,
    ...others,
    ...decided.flatMap((verdict) => describeVerdict(verdict)),
    ...signals.map(
      ({ event, at, signal, payload }) => `    event ${event}, ${at}: ${signal} ${JSON.stringify(payload)}`,
    ),
  ].join('\n');
}

function describeVerdict({ event, at, recorded, derived, agrees, differs }: RecordedVerdict): string[] {
  const now = `${derived.kind}. ${derived.sentence}`;
  const isTold = recorded.sentence === derived.sentence;
  return [
    `    event ${event}, ${at}: ${recorded.kind}. ${recorded.sentence}`,
    ...(agrees ? [] : [`      but the numbers say: ${now}`]),
    ...(agrees && differs.includes('words')
      ? [
          isTold
            ? '      in this version with other notes'
            : `      in the words of this version: ${derived.sentence}`,
        ]
      : []),
  ];
}
