import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { print, printJson, type CliContext } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { CliFailure } from '../failure.ts';
import type { ReplayResult } from '../replay-histories.ts';
import { describeReplay } from '../replay-view.ts';

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
Of an upgrade that continued as new, all runs are replayed. Verdicts are derived from the recorded numbers alone: by the
same rules they have to come again word for word. Of those that another version of Changeover made by other rules, what
was decided has to follow; how it is told, where that is otherwise, is shown.

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
