import { createLogUpdate } from 'log-update';
import type { Display } from './display.ts';
import { frame } from './frame.ts';
import { clock, paintFor } from './paint.ts';

/** A frame that is redrawn in place, with what is said above it. */
export function createLiveDisplay(stream: NodeJS.WriteStream, versions: readonly string[]): Display {
  const beganAt = performance.now();
  const update = createLogUpdate(stream);
  const paint = paintFor(stream);
  return {
    say: (sentence) => {
      update.persist(`${paint('gray', clock(performance.now() - beganAt).padStart(7))}  ${sentence}`);
    },
    show: (snapshot) => {
      const elapsedMs = performance.now() - beganAt;
      update(frame(snapshot, { paint, versions, elapsedMs }));
    },
    // The cursor is shown again.
    end: () => {
      update.clear();
      update.done();
    },
  };
}
