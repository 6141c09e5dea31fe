import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';

/**
 * Activity options as named profiles. All steps are idempotent and are retried without end: what an operator can mend
 * shows as a retrying activity, never as a failed run. Errors that retrying cannot help are marked so by their code.
 *
 * A cancelled activity (paused, aborted, a server skipped) is awaited, so that its last effect is over before the
 * next step begins; heartbeats carry the cancellation, hence the short time-out. A killed worker is noticed by it too.
 */
const interruptible = {
  heartbeatTimeout: '6s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} satisfies ActivityOptions;

/** Answers at once or never: the controller writes one file. */
const quick = {
  ...interruptible,
  startToCloseTimeout: '30s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' },
} satisfies ActivityOptions;

/** "Keep publishing", "keep reporting": an attempt tries for some seconds, then Temporal's retries go on. */
const keepTrying = {
  ...interruptible,
  startToCloseTimeout: '60s',
  retry: { initialInterval: '500ms', backoffCoefficient: 1.5, maximumInterval: '10s' },
} satisfies ActivityOptions;

/** Waits inside, as long as business or a server takes; a day per attempt, then the next attempt goes on. */
const patient = {
  ...interruptible,
  startToCloseTimeout: '24h',
  retry: { initialInterval: '1s', backoffCoefficient: 1.5, maximumInterval: '10s' },
} satisfies ActivityOptions;

export const { checkPlan, stageRoutes, excludeGateway, finishUpgrade } = proxyActivities<Activities>(quick);
export const { closeIngress, applyRoutes, promoteOptimal, reportReady } =
  proxyActivities<Activities>(keepTrying);
export const { preflight, awaitDrain, pushUpgradeParams, collectMetrics } =
  proxyActivities<Activities>(patient);
