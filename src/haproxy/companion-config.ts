import { z } from 'zod';
import { controlShape } from '../gateway/control-config.ts';

/** Configuration of the companion of one HAProxy; `stateDir` also has the counters of HAProxy processes that have ended. */
export const companionConfigSchema = z.strictObject({
  ...controlShape,
  /** Its Runtime API: `unix@/path` or `host:port`. */
  socket: z.string().min(1),
  /** Folder of the maps and of the server-state file, as its configuration names it. */
  filesDir: z.string().min(1),
});

export type CompanionConfig = z.infer<typeof companionConfigSchema>;
export type CompanionConfigInput = z.input<typeof companionConfigSchema>;
