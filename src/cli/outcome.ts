import type { Outcome } from '../domain/upgrade/phase.ts';
import { EXIT, type ExitCode } from './exit-code.ts';

/** Whether an upgrade that is over did what it was started for. */
export function exitCodeOfOutcome(outcome: Outcome | null): ExitCode {
  switch (outcome) {
    case null:
    case 'promoted':
      return EXIT.ok;
    case 'rolledBack':
    case 'incomplete':
      return EXIT.failed;
  }
}
