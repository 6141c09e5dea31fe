import { ApplicationFailure } from '@temporalio/activity';
import { formatPlanProblems } from '../domain/plan/problem.ts';
import { readPlan } from '../domain/plan/read-plan.ts';
import type { Plan } from '../domain/plan/schema.ts';

/** History entries larger than this are refused before they are sent: past Temporal's limit a run would be stuck. */
const PLAN_LIMIT_BYTES = 128 * 1024;

/**
 * Checks the plan and fills in its defaults. Runs as an activity, so that the plan as it was understood stands in the
 * history, and a later version of the schema does not change what an old run meant.
 *
 * @throws ApplicationFailure `InvalidPlan`, not retryable, with all problems, as `changeover validate` words them.
 */
export function checkPlan(): (input: unknown) => Promise<Plan> {
  return (input) => {
    const bytes = Buffer.byteLength(JSON.stringify(input ?? null));
    const read = readPlan(input);
    const tooLarge = bytes > PLAN_LIMIT_BYTES;
    const problems = read.ok ? [] : read.problems;
    if (read.ok && !tooLarge && problems.length === 0) return Promise.resolve(read.plan);
    const message =
      problems.length === 0
        ? `The plan has ${bytes} bytes as JSON; at most ${PLAN_LIMIT_BYTES} can go into a history.`
        : formatPlanProblems(problems);
    const details = problems.length === 0 ? [] : [problems];
    return Promise.reject(
      ApplicationFailure.create({ type: 'InvalidPlan', message, nonRetryable: true, details }),
    );
  };
}
