import { z } from 'zod';

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes, 63 at most');

/** Configuration of the companion of one HAProxy. */
export const companionConfigSchema = z.strictObject({
  /** Name under which this HAProxy acknowledges route tables. */
  name,
  service: name,
  /** Its Runtime API: `unix@/path` or `host:port`. */
  socket: z.string().min(1),
  /** Folder of the maps and of the server-state file, as its configuration names it. */
  filesDir: z.string().min(1),
  admin: z.strictObject({ host: z.string().default('127.0.0.1'), port: z.int().min(0).max(65_535) }),
  controllerUrl: z.url().exactOptional(),
  /** Folder for the route table executed last and the counters of HAProxy processes that have ended. */
  stateDir: z.string().min(1),
  lookupDir: z.string().min(1).exactOptional(),
  adminToken: z.string().min(1).exactOptional(),
  controllerToken: z.string().min(1).exactOptional(),
});

export type CompanionConfig = z.infer<typeof companionConfigSchema>;
export type CompanionConfigInput = z.input<typeof companionConfigSchema>;
