import type { Snapshot } from '../snapshot.ts';
import { createLineDisplay } from './line-display.ts';
import { createLiveDisplay } from './live-display.ts';

/** What the demo shows while it runs. */
export interface Display {
  /** A sentence that stays. */
  say(sentence: string): void;
  /** Where it all stands now. */
  show(snapshot: Snapshot): void;
  /** Shows nothing any more; what is printed next stands below. Safe to repeat. */
  end(): void;
}

/** Live on a terminal, a line per change in a pipe. */
export function createDisplay(stream: NodeJS.WriteStream, versions: readonly string[]): Display {
  return stream.isTTY ? createLiveDisplay(stream, versions) : createLineDisplay(stream);
}
