import { z } from 'zod';

/** Of gateways and services. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes, 63 at most');
export const portSchema = z.int().min(0).max(65_535);

/** What every kind of gateway is configured with towards the flow controller and its operators. */
export const controlShape = {
  /** Name under which the gateway acknowledges route tables. */
  name: nameSchema,
  service: nameSchema,
  admin: z.strictObject({ host: z.string().default('127.0.0.1'), port: portSchema }),
  /** Base URL of the flow controller; without one, routes only come by `PUT /v1/routes`. */
  controllerUrl: z.url().exactOptional(),
  /** Folder for what must survive a restart, the route table executed last above all. */
  stateDir: z.string().min(1),
  /** Folder in which the lookup files of policies lie; a policy that names a file outside of it is refused. */
  lookupDir: z.string().min(1).exactOptional(),
  /** Bearer token that the admin API asks for, `/health` excepted. */
  adminToken: z.string().min(1).exactOptional(),
  /** Bearer token that the controller asks for. */
  controllerToken: z.string().min(1).exactOptional(),
};
export type ControlConfig = z.infer<z.ZodObject<typeof controlShape>>;

/** Of who counts the accounts of a trial. */
export const accountShape = {
  /**
   * Accounts that a trial may enter at this gateway, where they are its units: 16 to 32 bytes each, and 30 more until
   * their window is over. Beyond it new ones are not counted.
   */
  maxAccounts: z.int().positive().max(100_000_000).default(1_000_000),
  /**
   * The part of the accounts that a trial counts here, of so many gateways, where a load balancer spreads the requests of
   * an account over them: else each would count it.
   */
  accountPart: z
    .strictObject({ part: z.int().positive(), of: z.int().positive().max(100) })
    .refine(({ part, of }) => part <= of, 'the part must not be above the number of parts')
    .default({ part: 1, of: 1 }),
};
