/**
 * The closed catalogue of what can go wrong. Codes never alias and messages are never parsed: whoever reacts to an
 * error looks at its code. `retryable` tells Temporal whether trying again may help; `status` is the HTTP status with
 * which a control API answers.
 */
export const ERROR_CODES = {
  /** Input that a person (or a program) got wrong. */
  InvalidPlan: { retryable: false, status: 422 },
  InvalidRequest: { retryable: false, status: 400 },
  NotFound: { retryable: false, status: 404 },
  Unauthorized: { retryable: false, status: 401 },

  /** Route registry. */
  ServiceUnknown: { retryable: false, status: 404 },
  ServiceLocked: { retryable: false, status: 409 },
  /** The caller's fence or step is older than what the registry has seen: a late call of an earlier attempt. */
  Fenced: { retryable: false, status: 409 },
  /** A transition would leave the service without an open server, or name what does not exist. */
  UnsafeTransition: { retryable: false, status: 409 },
  StaleRoutes: { retryable: false, status: 409 },
  /** A gateway cannot be declared gone: it answers. */
  GatewayAnswers: { retryable: false, status: 409 },
  /** Published, but not every gateway has acknowledged yet. */
  RoutesNotAcknowledged: { retryable: true, status: 503 },

  /** A gateway lacks something (a lookup file) that the routes of the trial need. */
  RoutesNotExecutable: { retryable: true, status: 424 },

  /** Processes that do not answer, for now. */
  TemporalUnreachable: { retryable: true, status: 503 },
  ControllerUnreachable: { retryable: true, status: 503 },
  GatewayUnreachable: { retryable: true, status: 503 },
  AgentUnreachable: { retryable: true, status: 503 },

  /** A metrics source does not answer, or what it delivers cannot be: never taken for a zero. */
  MetricsUnusable: { retryable: true, status: 502 },

  /** Server agent. */
  AgentBusy: { retryable: true, status: 409 },
  OsMismatch: { retryable: false, status: 422 },
  PackageMissing: { retryable: true, status: 424 },
  PackageNotAllowed: { retryable: false, status: 403 },
  ChecksumMismatch: { retryable: true, status: 422 },
  PackageUnsafe: { retryable: false, status: 422 },
  StopFailed: { retryable: true, status: 500 },
  StartFailed: { retryable: false, status: 500 },
  ServersNotUpgraded: { retryable: true, status: 503 },
  ServersNotReady: { retryable: true, status: 503 },

  /** Preflight. */
  PreflightFailed: { retryable: false, status: 409 },
  NotEnoughCapacity: { retryable: false, status: 409 },

  Internal: { retryable: true, status: 500 },
} as const satisfies Record<string, { retryable: boolean; status: number }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What crosses a wire, or goes into a history, when something failed. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: unknown;
}

/** The only error class that our own code throws on purpose. The message is for a person: cause, and what to do. */
export class ChangeoverError extends Error {
  readonly code: ErrorCode;
  readonly details?: unknown;

  constructor(code: ErrorCode, message: string, options: { details?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ChangeoverError';
    this.code = code;
    if (options.details !== undefined) this.details = options.details;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
