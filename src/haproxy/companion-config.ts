import { z } from 'zod';
import { accountShape, controlShape, nameSchema } from '../gateway/control-config.ts';

/** Configuration of the companion of one HAProxy; `stateDir` also has the counters of HAProxy processes that have ended, and a trial's accounts. */
export const companionConfigSchema = z.strictObject({
  ...controlShape,
  ...accountShape,
  /** Services behind this one, for which HAProxy decides as well: those it was rendered for. */
  contextFor: z.array(nameSchema).default([]),
  /** Its Runtime API: `unix@/path` or `host:port`. */
  socket: z.string().min(1),
  /** Folder of the maps and of the server-state file, as its configuration names it. */
  filesDir: z.string().min(1),
});

export type CompanionConfigInput = z.input<typeof companionConfigSchema>;
