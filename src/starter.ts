import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { EXIT } from './cli/exit-code.ts';
import { CliFailure, exitCodeOf, messageOf } from './cli/failure.ts';
import { readPlanFile, type PlanInputFile } from './cli/plan-input.ts';
import { runLink } from './cli/temporal-ui.ts';
import { connectTemporal, type TemporalClient } from './temporal.ts';
import { TASK_QUEUE, WORKFLOW_TYPE, workflowIdOf } from './workflows/messages.ts';

export interface StartedUpgrade {
  readonly service: string;
  readonly workflowId: string;
  readonly runId: string;
  /** In the Temporal UI, where its address is known. */
  readonly link?: string;
}

/**
 * Starts the upgrade that a plan describes; a worker takes it up as soon as one runs.
 *
 * @throws CliFailure `notNow` where an upgrade of the service runs already.
 */
export async function startUpgrade(
  temporal: TemporalClient,
  { data, plan }: PlanInputFile,
  options: { workflowId?: string | undefined; env?: NodeJS.ProcessEnv } = {},
): Promise<StartedUpgrade> {
  const { service } = plan;
  const workflowId = options.workflowId ?? workflowIdOf(service);
  try {
    const { firstExecutionRunId: runId } = await temporal.client.workflow.start(WORKFLOW_TYPE, {
      args: [data],
      taskQueue: TASK_QUEUE,
      workflowId,
      workflowIdConflictPolicy: 'FAIL',
    });
    const { address, namespace } = temporal;
    const link = runLink(options.env ?? process.env, { address, namespace, workflowId, runId });
    return { service, workflowId, runId, ...(link === undefined ? {} : { link }) };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new CliFailure(
      EXIT.notNow,
      `An upgrade of ${service} runs already (${workflowId}). Watch it with \`changeover watch ${service}\`, or abort it first.`,
      { cause: error },
    );
  }
}

/** Checks the plan before anything is connected, then starts it. */
export async function startFromFile(
  file: string,
  options: { workflowId?: string | undefined; env: NodeJS.ProcessEnv },
): Promise<StartedUpgrade> {
  const input = await readPlanFile(file);
  await using temporal = await connectTemporal(options.env);
  return await startUpgrade(temporal, input, options);
}

export function describeStart({ service, workflowId, runId, link }: StartedUpgrade): string {
  return [
    `The upgrade of ${service} is started.`,
    `  workflow id  ${workflowId}`,
    `  run id       ${runId}`,
    ...(link === undefined ? [] : [`  Temporal UI  ${link}`]),
    `Watch it with \`changeover watch ${service}\`.`,
  ].join('\n');
}

/** `node dist/src/starter.js plan.yaml [--workflow-id ID]`, the same as `changeover start`. */
async function main(): Promise<void> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { 'workflow-id': { type: 'string' } },
    });
    const [file] = positionals;
    if (file === undefined) throw new CliFailure(EXIT.badInput, 'Name the plan: starter.js plan.yaml');
    const started = await startFromFile(file, { workflowId: values['workflow-id'], env: process.env });
    process.stdout.write(`${describeStart(started)}\n`);
  } catch (error) {
    process.stderr.write(`${messageOf(error, false)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
