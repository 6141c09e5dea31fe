import {
  isGrpcServiceError,
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import type { QueryDefinition, SignalDefinition } from '@temporalio/common';
import { ChangeoverError } from '../domain/errors.ts';
import type { UpgradeReport } from '../domain/report/report.ts';
import { connectTemporal, type TemporalClient } from '../temporal.ts';
import { workflowIdOf } from '../workflows/messages.ts';
import { EXIT } from './exit-code.ts';
import { CliFailure } from './failure.ts';
import type { UpgradeAddress } from './upgrade-address.ts';

/** A query is answered by a worker; where none runs, the server would let us wait for long. */
const QUERY_TIMEOUT_MS = 10_000;

const GRPC = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  failedPrecondition: 9,
  unavailable: 14,
} as const;

/** What the connection itself says, with a gRPC status code. */
type GrpcAnswer = Error & { readonly code: number; readonly details: string };

/** One upgrade, as the commands speak to it. All failures come as messages for people, with their exit code. */
export interface UpgradeAccess extends AsyncDisposable {
  readonly workflowId: string;
  readonly temporal: TemporalClient;
  readonly handle: WorkflowHandle;
  describe(): Promise<WorkflowExecutionDescription>;
  query<Answer>(definition: QueryDefinition<Answer>): Promise<Answer>;
  signal<Payload>(definition: SignalDefinition<[Payload]>, payload: Payload): Promise<void>;
  /** Result of a run that is over; undefined while it goes on. @throws CliFailure where it failed. */
  report(): Promise<UpgradeReport | undefined>;
}

export async function openUpgrade(
  env: NodeJS.ProcessEnv,
  { service, workflowId: given }: UpgradeAddress,
): Promise<UpgradeAccess> {
  const workflowId = given ?? workflowIdOf(service ?? '');
  const temporal = await connectTemporal(env);
  const handle = temporal.client.workflow.getHandle(workflowId);
  const call = async <Result>(action: () => Promise<Result>): Promise<Result> => {
    try {
      return await temporal.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, action);
    } catch (error) {
      throw explained(error, workflowId);
    }
  };
  const describe = () => call(() => handle.describe());
  return {
    workflowId,
    temporal,
    handle,
    describe,
    query: (definition) => call(() => handle.query(definition)),
    signal: (definition, payload) => call(() => handle.signal(definition, payload)),
    report: async () => {
      const { status } = await describe();
      if (status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW') return undefined;
      return call(async () => (await handle.result()) as UpgradeReport);
    },
    [Symbol.asyncDispose]: () => temporal.close(),
  };
}

/** Opens an upgrade, and closes the connection after whatever comes of `action`. */
export async function withUpgrade<Result>(
  env: NodeJS.ProcessEnv,
  address: UpgradeAddress,
  action: (upgrade: UpgradeAccess) => Promise<Result>,
): Promise<Result> {
  await using upgrade = await openUpgrade(env, address);
  return await action(upgrade);
}

function explained(error: unknown, workflowId: string): unknown {
  if (error instanceof WorkflowNotFoundError) {
    return new CliFailure(
      EXIT.notNow,
      `There is no upgrade ${workflowId} in this namespace, or it is over already.`,
      { cause: error },
    );
  }
  if (error instanceof WorkflowFailedError) {
    const reason = deepest(error).message;
    return new CliFailure(EXIT.failed, `The upgrade ${workflowId} failed:\n${reason}`, { cause: error });
  }
  if (error instanceof QueryNotRegisteredError || error instanceof QueryRejectedError) {
    return new CliFailure(EXIT.notNow, `The upgrade ${workflowId} does not answer yet: ${error.message}`, {
      cause: error,
    });
  }
  // The client wraps what the connection said.
  const answer = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(answer) ? explainedAnswer(answer, workflowId) : error;
}

function explainedAnswer(answer: GrpcAnswer, workflowId: string): Error {
  const { code, details } = answer;
  const cause = answer;
  switch (code) {
    case GRPC.invalidArgument:
      return new CliFailure(EXIT.notNow, `The upgrade ${workflowId} does not answer yet: ${details}`, {
        cause,
      });
    // A deadline that passes at both ends at once is told by whichever was first.
    case GRPC.cancelled:
    case GRPC.deadlineExceeded:
    case GRPC.failedPrecondition:
      return new CliFailure(
        EXIT.unreachable,
        `No worker answers for ${workflowId}. The upgrade is not lost: start a worker (\`changeover worker\`) and it goes on.`,
        { cause },
      );
    case GRPC.unavailable:
      return new ChangeoverError('TemporalUnreachable', `Temporal does not answer: ${details}.`, { cause });
    default:
      return new CliFailure(EXIT.failed, `Temporal answered: ${details}`, { cause });
  }
}

function deepest(error: Error): Error {
  return error.cause instanceof Error ? deepest(error.cause) : error;
}
