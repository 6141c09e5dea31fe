import { relative } from 'node:path';
import { abortSignal, approveSignal, extendSignal } from '../src/workflows/messages.ts';
import type { Fleet } from './fleet/fleet.ts';
import { CLI } from './fleet/fleet-process.ts';
import type { Snapshot } from './snapshot.ts';

/** Decides what the plan leaves to a person: approves by itself and says so, or tells the person what to type. */
export interface Operator {
  attend(snapshot: Snapshot): Promise<void>;
}

const BY = 'demo';
/** A slow machine serves fewer requests in the trial than it takes to decide. */
const EXTENSION = '5s';
const MOST_EXTENSIONS = 6;

export function createOperator(
  fleet: Fleet,
  { interactive, say }: { interactive: boolean; say: (sentence: string) => void },
): Operator {
  let asked = '';
  let extensions = 0;

  /** Once per question: a signal takes a moment to show in the status. */
  const isNew = ({ status, efficacy }: Snapshot): boolean => {
    const question = `${status.phase} ${interactive ? 0 : efficacy.elapsedMs}`;
    if (question === asked) return false;
    asked = question;
    return true;
  };

  async function extendOrAbort(sentence: string): Promise<void> {
    if (extensions < MOST_EXTENSIONS) {
      extensions += 1;
      say(`${sentence} The demo extends the trial by ${EXTENSION}.`);
      await fleet.handle.signal(extendSignal, { by: BY, length: EXTENSION });
      return;
    }
    say(`${sentence} The demo gives up and aborts.`);
    await fleet.handle.signal(abortSignal, { by: BY, reason: 'the trial stayed inconclusive' });
  }

  return {
    attend: async (snapshot) => {
      const { phase, verdict } = snapshot.status;
      if (phase !== 'awaitingApproval' && phase !== 'awaitingDecision') return;
      if (!isNew(snapshot)) return;
      const sentence = verdict?.sentence ?? '';
      if (interactive) {
        say(
          `${sentence}\nNow it is you who decides. In another terminal, here:\n${choices(fleet, phase)}\nCtrl-C in this one ends the demo.`,
        );
      } else if (phase === 'awaitingApproval') {
        say(
          `${sentence} The demo approves ${verdict?.kind === 'winner' ? verdict.winner : 'this'} by itself; with --interactive it waits for you`,
        );
        await fleet.handle.signal(approveSignal, { by: BY, comment: 'approved by the demo itself' });
      } else {
        await extendOrAbort(sentence);
      }
    },
  };
}

function choices(fleet: Fleet, phase: 'awaitingApproval' | 'awaitingDecision'): string {
  const approve = phase === 'awaitingApproval' ? 'approve' : 'approve --candidate VERSION';
  return [approve, 'extend --length 10s', 'abort --reason "as I like it"']
    .map((command) => `  ${commandLine(fleet, command)}`)
    .join('\n');
}

/** A command of the product as one would type it in this folder, such as `approve`. */
export function commandLine(fleet: Fleet, command: string): string {
  const [name = '', ...options] = command.split(' ');
  const cli = relative(process.cwd(), CLI);
  return [`TEMPORAL_ADDRESS=${fleet.temporal.address} node ${cli} ${name} ${fleet.service}`, ...options].join(
    ' ',
  );
}
