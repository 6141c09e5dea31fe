import type { ArmEfficacy } from '../decision/decision.ts';
import type { Plan } from '../plan/schema.ts';
import type { Ingress, TrafficSplit } from '../routes/table.ts';
import { ACTIONS, whyNot, type Action } from './actions.ts';
import { gatewaysIn } from './exclusions.ts';
import { splitNow } from './route-changes.ts';
import { stageLengthMs } from './trial-stages.ts';
import type { Outcome, Phase } from './phase.ts';
import type { AnyVerdict } from './results.ts';
import type { Approval, Exclusion, Problem, ServerStage, UpgradeState } from './state.ts';

/** Answer of the query `status`: all that an operator needs to know now. */
export interface UpgradeStatus {
  readonly service: string;
  readonly upgradeId: string;
  readonly startedAt: string;
  readonly phase: Phase;
  readonly goal: UpgradeState['goal'];
  readonly step: { readonly number: number; readonly what: string; readonly since: string };
  readonly paused: UpgradeState['paused'];
  /** What is wrong now, where, since when. */
  readonly problems: readonly Problem[];
  readonly servers: readonly {
    readonly name: string;
    readonly cluster: string;
    readonly release: string;
    readonly stage: ServerStage;
    readonly uncertain?: true;
  }[];
  readonly routes: UpgradeState['routes'];
  /** Every gateway as the last change of the routes saw it, and who lags behind; null before the first. */
  readonly gateways: ReturnType<typeof gatewaysIn>;
  /** Gateways that operators declared gone. */
  readonly exclusions: readonly Exclusion[];
  readonly trial: {
    readonly stage: number;
    readonly stages: number;
    readonly stageElapsedMs: number;
    readonly stageLengthMs: number;
    readonly readings: number;
    readonly pulled: Readonly<Record<string, string>>;
  };
  readonly verdict: AnyVerdict | null;
  readonly winner: string | null;
  readonly approval: Approval | null;
  readonly aborted: UpgradeState['aborted'];
  readonly outcome: Outcome | null;
  /** What the operator can do now. */
  readonly can: readonly Action[];
}

export function statusOf(plan: Plan, state: UpgradeState): UpgradeStatus {
  const { number, what, since } = state.step;
  return {
    service: plan.service,
    upgradeId: state.upgradeId,
    startedAt: state.startedAt,
    phase: state.phase,
    goal: state.goal,
    step: { number, what, since },
    paused: state.paused,
    problems: [...state.problems, ...problemsOfTrial(state)],
    servers: Object.entries(state.servers).map(([name, { cluster, release, stage, dirty }]) => ({
      name,
      cluster,
      release,
      stage,
      ...(dirty === true ? { uncertain: true as const } : {}),
    })),
    routes: state.routes,
    gateways: gatewaysIn(state),
    exclusions: state.exclusions ?? [],
    trial: {
      stage: Math.min(state.trial.stage + 1, plan.trial.stages.length),
      stages: plan.trial.stages.length,
      stageElapsedMs: state.trial.stageElapsedMs,
      stageLengthMs: stageLengthMs(plan, state),
      readings: state.trial.readings,
      pulled: state.trial.pulled,
    },
    verdict: state.trial.verdict,
    winner: state.winner,
    approval: state.approval,
    aborted: state.aborted,
    outcome: state.outcome,
    can: ACTIONS.filter((action) => whyNot(action, state) === undefined),
  };
}

/** What guardrails found that is no candidate's fault. */
function problemsOfTrial({ trial: { incident, notices = [] } }: UpgradeState): readonly Problem[] {
  return [
    ...(incident === undefined
      ? []
      : [
          {
            where: 'the environment',
            code: 'EnvironmentIncident',
            message: incident.reason,
            since: incident.since,
          },
        ]),
    ...notices.map(({ release, kind, reason, since }) => ({
      where: release,
      code: kind === 'noData' ? 'NoData' : 'StuckCounters',
      message: reason,
      since,
    })),
  ];
}

/** Answer of the query `efficacy`: live numbers by version. */
export interface EfficacyAnswer {
  readonly volume: Plan['measure']['volume']['kind'];
  readonly share: number;
  readonly readings: number;
  readonly elapsedMs: number;
  readonly arms: readonly ArmEfficacy[];
  readonly sentence: string;
}

export function efficacyOf(plan: Plan, state: UpgradeState): EfficacyAnswer {
  return {
    volume: plan.measure.volume.kind,
    share: state.routes.share,
    readings: state.trial.readings,
    elapsedMs: state.trial.elapsedMs,
    arms: state.trial.arms.map((arm) => ({
      ...arm,
      efficacy: arm.allocated === 0 ? null : arm.volume / arm.allocated,
    })),
    sentence: state.trial.verdict?.sentence ?? 'Nothing was measured yet.',
  };
}

/** Answer of the query `routes`: where traffic goes now. */
export interface RoutesView {
  readonly version: number;
  readonly mode: UpgradeState['routes']['mode'];
  /** False while gateways have not all acknowledged the change that is under way. */
  readonly applied: boolean;
  readonly main: string;
  readonly split: TrafficSplit | null;
  readonly servers: readonly { readonly name: string; readonly ingress: Ingress; readonly release: string }[];
}

export function routesOf(plan: Plan, state: UpgradeState): RoutesView {
  const { mode, applied, version } = state.routes;
  return {
    version,
    mode,
    applied,
    main: mode === 'winner' ? (state.winner ?? plan.baseline.version) : plan.baseline.version,
    split: mode === 'trial' ? splitNow(plan, state) : null,
    servers: Object.entries(state.servers).map(([name, { stage, release }]) => ({
      name,
      release,
      ingress: INGRESS[stage],
    })),
  };
}

/** While a change of the ingress is under way, what it will be. */
const INGRESS: Readonly<Record<ServerStage, Ingress>> = {
  open: 'open',
  opening: 'open',
  closing: 'draining',
  draining: 'draining',
  drained: 'closed',
  changing: 'closed',
  changed: 'closed',
  ready: 'closed',
  out: 'closed',
  removed: 'closed',
};
