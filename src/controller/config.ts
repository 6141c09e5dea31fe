import { z } from 'zod';

/** Configuration of the flow controller. */
export const controllerConfigSchema = z.strictObject({
  listen: z.strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    /** 0 takes any free port. */
    port: z.int().min(0).max(65_535),
  }),
  /** Folder of the route tables and counters; one controller at a time uses it. */
  stateDir: z.string().min(1),
  /** Bearer token for all but `GET /health` and `GET /metrics`; needed to listen on other hosts than loopback. */
  token: z.string().min(16, 'must have at least 16 characters').exactOptional(),
  /** How often gateways are read and, where they lag behind, published to; while guardrails are armed they are read more often. */
  readIntervalMs: z.int().positive().default(1_000),
});
export type ControllerConfig = z.infer<typeof controllerConfigSchema>;
