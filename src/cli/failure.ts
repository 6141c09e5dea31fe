import { ChangeoverError, type ErrorCode } from '../domain/errors.ts';
import { EXIT, type ExitCode } from './exit-code.ts';

/** Ends a command with an exit code; the message is for the person, and empty where all was said already. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message = '', options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliFailure';
    this.exitCode = exitCode;
  }
}

/** Codes that are not `failed`. */
const EXIT_BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  InvalidPlan: EXIT.badInput,
  InvalidRequest: EXIT.badInput,
  NotFound: EXIT.badInput,
  ServiceUnknown: EXIT.notNow,
  ServiceLocked: EXIT.notNow,
  Fenced: EXIT.notNow,
  UnsafeTransition: EXIT.notNow,
  StaleRoutes: EXIT.notNow,
  AgentBusy: EXIT.notNow,
  TemporalUnreachable: EXIT.unreachable,
  ControllerUnreachable: EXIT.unreachable,
  GatewayUnreachable: EXIT.unreachable,
  AgentUnreachable: EXIT.unreachable,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliFailure) return error.exitCode;
  if (error instanceof ChangeoverError) return EXIT_BY_CODE[error.code] ?? EXIT.failed;
  return EXIT.failed;
}

/** One clear message; with `debug` the stack and its causes. */
export function messageOf(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (!debug) return error.message;
  const cause = error.cause === undefined ? '' : `\nCaused by: ${messageOf(error.cause, true)}`;
  return `${error.stack ?? error.message}${cause}`;
}
