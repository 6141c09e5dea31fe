import { z } from 'zod';
import { keySourceSchema } from '../protocol/routes.ts';
import { accountShape, controlShape, nameSchema, portSchema } from './control-config.ts';

/** No timer can wait for longer. */
const LONGEST_MS = 2 ** 31 - 1;
const ms = z.int().positive().max(LONGEST_MS, 'must be 24 days at most');

/** All time-outs of the traffic side, in milliseconds. */
const timeoutsSchema = z.strictObject({
  /** A client has this long to send a request's header section; else 408. */
  clientHeadersMs: ms.default(10_000),
  /** An idle client connection is kept this long. */
  clientIdleMs: ms.default(75_000),
  /** A client that neither sends nor takes a byte in the middle of an exchange for this long is cut off. */
  clientStallMs: ms.default(300_000),
  /** Connecting to a server. */
  connectMs: ms.default(3_000),
  /** From the request being sent to the response's header section; else 504. */
  upstreamHeadersMs: ms.default(60_000),
  /** Longest pause within a response body. */
  upstreamBodyIdleMs: ms.default(300_000),
});

const shape = z.strictObject({
  /** Its name is its pseudonym in `Via`, too; `stateDir` also has open transactions, and a trial's accounts. */
  ...controlShape,
  /**
   * `edge`: clients are not to be believed, and routing context in their baggage is removed. `sidecar`: callers are
   * services whose context was written by an edge, and it decides.
   */
  role: z.enum(['edge', 'sidecar']).default('edge'),
  /** At an edge: services behind this one, for which it decides as well. Context is written where there are any. */
  contextFor: z.array(nameSchema).default([]),
  /** Where the key for these is found, if not where their plans say. */
  contextKey: keySourceSchema.exactOptional(),
  listen: z.strictObject({ host: z.string().default('0.0.0.0'), port: portSchema }),
  timeouts: timeoutsSchema.prefault({}),
  /** Header section of a request, in bytes; more is refused with 431. */
  maxHeaderBytes: z.int().min(1024).default(16_384),
  /** Transactions remembered at most (about 400 bytes each); beyond it the one idle for longest is forgotten. */
  maxTransactions: z.int().positive().default(100_000),
  ...accountShape,
  /** What is in flight at `close()` has this long to finish, in milliseconds. */
  shutdownGraceMs: ms.default(60_000),
  /** At `close()` idle connections are kept this long: a request may just be on its way. In milliseconds. */
  lastCallMs: z.int().nonnegative().default(500),
  /**
   * After the last exchange a controller has this long to read the final counters, which are lost with the process; it
   * reads every second. In milliseconds.
   */
  lastReadMs: z.int().nonnegative().default(1_500),
});
type GatewayShape = z.infer<typeof shape>;

/** Configuration of one gateway process. */
export const gatewayConfigSchema = shape.superRefine(refuseContext);

function refuseContext(config: GatewayShape, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [path], message, input: config });
  const { contextFor, service } = config;
  if (contextFor.length === 0) {
    if (config.contextKey !== undefined)
      refuse('contextKey', 'has no meaning without services that context is written for (contextFor)');
    return;
  }
  if (config.role === 'sidecar')
    refuse('contextFor', 'only an edge decides for other services; a sidecar passes on what an edge decided');
  if (config.controllerUrl === undefined)
    refuse('contextFor', 'their routes come from the flow controller; name it (controllerUrl)');
  if (contextFor.includes(service))
    refuse('contextFor', `${service} is the service of this gateway itself; name the services behind it`);
  if (new Set(contextFor).size < contextFor.length) refuse('contextFor', 'names a service twice');
  if (config.contextKey?.lookup !== undefined)
    refuse('contextKey', 'cannot be looked up; the policies of the services look keys up where they need it');
}

export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
/** As written by a person: defaults may be left out. */
export type GatewayConfigInput = z.input<typeof gatewayConfigSchema>;
export type GatewayTimeouts = GatewayConfig['timeouts'];
