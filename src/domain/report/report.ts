import { softwareOf } from '../plan/arm-names.ts';
import type { Plan } from '../plan/schema.ts';
import type { Approval, Exclusion, TimelineEntry, UpgradeState } from '../upgrade/state.ts';
import { efficacyOf, type EfficacyAnswer } from '../upgrade/status.ts';
import type { Outcome } from '../upgrade/phase.ts';

/** What an auditor reads a year later: result of the workflow, and the file that `finish` writes. */
export interface UpgradeReport {
  readonly service: string;
  readonly upgradeId: string;
  readonly baseline: string;
  readonly candidates: readonly {
    readonly version: string;
    readonly mode: string;
    readonly cluster: string;
  }[];
  readonly outcome: Outcome;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly winner: string | null;
  /** Version that no server runs any more, free to go offline. */
  readonly retired: readonly string[];
  readonly decision: {
    readonly rule: string;
    readonly verdict: UpgradeState['trial']['verdict'];
    readonly efficacy: EfficacyAnswer;
    readonly approval: Approval | null;
    readonly aborted: UpgradeState['aborted'];
    readonly pulled: Readonly<Record<string, string>>;
  };
  readonly servers: readonly {
    readonly name: string;
    readonly cluster: string;
    readonly release: string;
    readonly leftOut: boolean;
  }[];
  readonly routesVersion: number;
  /** Gateways that operators declared gone, and whether they came back. */
  readonly exclusions: readonly Exclusion[];
  readonly forcedDrains: UpgradeState['forced'];
  readonly notes: readonly string[];
  readonly timeline: readonly TimelineEntry[];
}

/** Pure; what the outcome will be is derived from where the servers stand. */
export function buildReport(plan: Plan, state: UpgradeState, endedAt: string): UpgradeReport {
  const servers = Object.entries(state.servers).map(([name, { cluster, release, stage }]) => ({
    name,
    cluster,
    release,
    leftOut: stage === 'removed',
  }));
  const running = new Set(
    servers.filter((server) => !server.leftOut).map((server) => softwareOf(server.release)),
  );
  const known = new Set([plan.baseline, ...plan.candidates].map(({ version }) => softwareOf(version)));
  return {
    service: plan.service,
    upgradeId: state.upgradeId,
    baseline: plan.baseline.version,
    candidates: plan.candidates.map(({ version, mode }) => ({
      version,
      mode,
      cluster: plan.deployment[mode] ?? '',
    })),
    outcome: outcomeOf(state),
    startedAt: state.startedAt,
    endedAt,
    winner: state.goal === 'promote' ? state.winner : null,
    retired: [...known].filter((version) => !running.has(version)),
    decision: {
      rule: plan.decision.rule,
      verdict: state.trial.verdict,
      efficacy: efficacyOf(plan, state),
      approval: state.approval,
      aborted: state.aborted,
      pulled: state.trial.pulled,
    },
    servers,
    routesVersion: state.routes.version,
    exclusions: state.exclusions ?? [],
    forcedDrains: state.forced,
    notes: state.notes,
    timeline: state.timeline,
  };
}

/** Never a success while a server differs: then it is `incomplete`. */
export function outcomeOf(state: UpgradeState): Outcome {
  if (Object.values(state.servers).some((server) => server.stage === 'removed')) return 'incomplete';
  return state.goal === 'promote' ? 'promoted' : 'rolledBack';
}
