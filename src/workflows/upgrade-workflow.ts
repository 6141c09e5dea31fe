import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  patched,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PlanInput } from '../domain/plan/schema.ts';
import type { UpgradeReport } from '../domain/report/report.ts';
import { initialState } from '../domain/upgrade/state.ts';
import { checkPlan } from './activity-proxies.ts';
import * as messages from './messages.ts';
import { UpgradeRun, type CarriedOver } from './upgrade-run.ts';

/** Batches after the trial open without a step that stages their routes. */
const STAGES_TRIAL_ONLY = 'only-the-trial-is-staged';

/** Between two batches one table opens the one and closes the other. */
const OPENS_WITH_NEXT = 'a-batch-opens-as-the-next-closes';

/** History events after which a run goes on as a new one; well below Temporal's warning at 10,240. */
const EVENTS_PER_RUN = 4000;

/**
 * One upgrade, from the plan to the report: steps 1 to 8 of the way of an upgrade, and the rollback. Input is the plan
 * as plain JSON; `carried` is for continue-as-new only.
 *
 * A plan that is wrong, a service that is locked or a fleet that is not as planned fails the run at once, with nothing
 * changed. After that a run never fails: it ends promoted, rolled back or incomplete, or it is paused and says why.
 * Cancelling the run means the same as `abort`.
 */
export async function upgradeWorkflow(input: PlanInput, carried?: CarriedOver): Promise<UpgradeReport> {
  const run = new UpgradeRun();
  handleMessages(run);
  const cancelled = CancellationScope.current().cancelRequested;
  return CancellationScope.nonCancellable(async () => {
    cancelled.catch(() => run.receive('abort', { by: 'temporal', reason: 'the run was cancelled' }));
    run.begin(carried ?? (await checked(input)));
    do {
      if (mustContinueAsNew()) await continueAsNew<typeof upgradeWorkflow>(input, run.carryOver());
    } while (await run.takeStep());
    await condition(allHandlersFinished);
    return run.report();
  });
}

async function checked(input: PlanInput): Promise<CarriedOver> {
  const plan = await checkPlan(input).catch((error: unknown) => {
    throw error instanceof ActivityFailure && error.cause !== undefined ? error.cause : error;
  });
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const run = {
    upgradeId: upgradeIdOf(workflowId, firstExecutionRunId),
    at: new Date().toISOString(),
    stagesTrialOnly: patched(STAGES_TRIAL_ONLY),
    opensWithNext: patched(OPENS_WITH_NEXT),
  };
  return { plan, state: initialState(plan, run) };
}

/** The same over the whole chain, and of no other one: run ids begin with their time, only the last group is random. */
function upgradeIdOf(workflowId: string, firstRunId: string): string {
  return `${workflowId}.${firstRunId.split('-').at(-1) ?? firstRunId}`;
}

function mustContinueAsNew(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength >= EVENTS_PER_RUN;
}

/** Handlers are registered before the first await: what comes early is kept until the plan is read. */
function handleMessages(run: UpgradeRun): void {
  setHandler(messages.approveSignal, (payload) => run.receive('approve', payload));
  setHandler(messages.extendSignal, (payload) => run.receive('extend', payload));
  setHandler(messages.abortSignal, (payload) => run.receive('abort', payload));
  setHandler(messages.pauseSignal, (payload) => run.receive('pause', payload));
  setHandler(messages.resumeSignal, (payload) => run.receive('resume', payload));
  setHandler(messages.retryServerSignal, (payload) => run.receive('retryServer', payload));
  setHandler(messages.skipServerSignal, (payload) => run.receive('skipServer', payload));
  setHandler(messages.excludeGatewaySignal, (payload) => run.receive('excludeGateway', payload));
  setHandler(messages.problemsSignal, (payload) => run.noteProblems(payload));
  setHandler(messages.statusQuery, () => run.status());
  setHandler(messages.efficacyQuery, () => run.efficacy());
  setHandler(messages.routesQuery, () => run.routes());
  setHandler(messages.timelineQuery, () => run.timeline());
  setHandler(messages.reportQuery, () => run.report());
}
