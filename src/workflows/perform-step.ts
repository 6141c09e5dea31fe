import type { StepContext } from '../activities/attempt.ts';
import { beginRule } from '../domain/decision/rule.ts';
import { withoutDeadline } from '../domain/decision/rule-spec.ts';
import { ruleSpecOf } from '../domain/decision/spec-of.ts';
import type { Plan, PlanServer } from '../domain/plan/schema.ts';
import { buildReport } from '../domain/report/report.ts';
import { drainOf } from '../domain/upgrade/change-cycle.ts';
import { guardrailsOf } from '../domain/upgrade/guardrails-of.ts';
import { sourceOf } from '../domain/plan/source-of.ts';
import { softwareOf } from '../domain/plan/arm-names.ts';
import { packageFor } from '../domain/plan/package-for.ts';
import type { StepResult } from '../domain/upgrade/results.ts';
import type { UpgradeState } from '../domain/upgrade/state.ts';
import type { Step } from '../domain/upgrade/step.ts';
import * as activities from './activity-proxies.ts';

/** Steps that an activity carries out; the others are the workflow's own. */
export type ActivityStep = Exclude<Step, { kind: 'wait' } | { kind: 'done' }>;

/** Carries out one step by its activity. Inputs are slim: the plan goes into the history once, not with every step. */
export async function performStep(plan: Plan, state: UpgradeState, step: ActivityStep): Promise<StepResult> {
  const context = {
    service: plan.service,
    upgradeId: state.upgradeId,
    fence: state.fence,
    step: state.step.number,
  };
  switch (step.kind) {
    case 'preflight':
      return {
        kind: step.kind,
        result: await activities.preflight({ upgradeId: state.upgradeId, step: context.step, plan }),
      };
    case 'closeIngress':
      return {
        kind: step.kind,
        result: await activities.closeIngress({
          ...context,
          servers: step.servers,
          ...(step.opening === undefined ? {} : { opening: step.opening.transitions }),
        }),
      };
    case 'awaitDrain':
      return {
        kind: step.kind,
        result: await activities.awaitDrain({
          ...context,
          servers: step.servers.map((name) => {
            const { deadlineMs, atDeadline } = drainOf(plan, state.servers[name]?.cluster ?? '');
            return { ...addressOf(plan, name), deadlineMs, atDeadline };
          }),
        }),
      };
    case 'stageRoutes':
      return {
        kind: step.kind,
        result: await activities.stageRoutes({ ...context, transitions: step.transitions }),
      };
    case 'pushUpgradeParams':
      return {
        kind: step.kind,
        result: await activities.pushUpgradeParams({
          ...context,
          servers: step.servers.map((target) => pushTarget(plan, state, target)),
        }),
      };
    case 'reportReady':
      await activities.reportReady({
        ...context,
        servers: step.servers.map((name) => {
          const release = state.servers[name]?.release ?? plan.baseline.version;
          return { ...addressOf(plan, name), release, software: softwareOf(release) };
        }),
      });
      return { kind: step.kind };
    case 'applyRoutes':
      return {
        kind: step.kind,
        result: await activities.applyRoutes({
          ...context,
          transitions: step.staged ? null : step.transitions,
          guardrails: guardrailsOf(plan, step.purpose),
        }),
      };
    case 'collectMetrics':
      return { kind: step.kind, result: await collect(plan, state, step, context) };
    case 'promoteOptimal':
      return {
        kind: step.kind,
        result: await activities.promoteOptimal({
          ...context,
          winner: step.winner,
          transitions: step.transitions,
        }),
      };
    case 'excludeGateway': {
      const { gateway, by, reason } = step;
      return {
        kind: step.kind,
        result: await activities.excludeGateway({ ...context, gateway, by, reason }),
      };
    }
    case 'finish':
      return {
        kind: step.kind,
        result: await activities.finishUpgrade({
          ...context,
          gateways: plan.gateways,
          report: buildReport(plan, state, new Date().toISOString()),
        }),
      };
  }
}

function collect(
  plan: Plan,
  state: UpgradeState,
  step: Step & { kind: 'collectMetrics' },
  context: StepContext,
) {
  // When the trial is over is said by `final`: its clock stands still in a pause, that of the blocks does not.
  const spec = withoutDeadline(ruleSpecOf(plan));
  return activities.collectMetrics({
    ...context,
    waitMs: step.waitMs,
    base: state.trial.base,
    versions: [
      { version: plan.baseline.version, role: 'baseline' },
      ...plan.candidates.map(({ version }) => ({ version, role: 'candidate' as const })),
    ],
    pulled: state.trial.pulled,
    spec,
    trial: state.upgradeId,
    elapsedMs: state.trial.elapsedMs,
    source: sourceOf(plan.measure),
    since: state.trial.since ?? state.startedAt,
    last: state.trial.arms,
    lateMs: plan.decision.outcomeWithinMs,
    out: state.trial.dropped ?? [],
    progress: state.trial.decision ?? { state: beginRule(spec), after: 0 },
    final: step.final,
    ended: state.trial.ended,
  });
}

function pushTarget(
  plan: Plan,
  state: UpgradeState,
  target: { name: string; version: string; retry: number },
) {
  const server = serverOf(plan, target.name);
  const { changeStep } = state.servers[target.name] ?? {};
  return {
    server: target.name,
    agent: server.agent,
    key: [state.upgradeId, target.name, target.version, changeStep ?? 0, target.retry].join('/'),
    package: packageFor(plan, target.version, server.os),
    release: target.version,
  };
}

function addressOf(plan: Plan, name: string) {
  return { server: name, agent: serverOf(plan, name).agent };
}

function serverOf(plan: Plan, name: string): PlanServer {
  for (const { servers } of Object.values(plan.clusters)) {
    const found = servers.find((server) => server.name === name);
    if (found !== undefined) return found;
  }
  throw new Error(`plan has no server ${name}`);
}
