import type { UpgradeReport } from '../src/domain/report/report.ts';
import type { TrafficAnswer } from '../src/protocol/controller.ts';
import type { LoadSummary } from './load/summary.ts';
import type { DemoOptions } from './options.ts';

/** Volume ÷ allocated, with both numbers; null where nothing was allocated. */
export interface Ratio {
  readonly allocated: number;
  readonly volume: number;
  readonly efficacy: number | null;
}

export interface VersionEfficacy {
  readonly version: string;
  /** In the trial: what the decision was made on. */
  readonly trial: Ratio;
  /** Over the whole run, as the gateways counted. */
  readonly gateways: Ratio;
  /** Over the whole run, as the clients saw it. */
  readonly clients: Ratio;
}

/** What really runs on a server, as its agent says. */
export interface ServerResult {
  readonly name: string;
  readonly cluster: string;
  readonly version: string | null;
  readonly healthy: boolean;
}

/** What a demo of tiers shows beyond the others. */
export interface TiersResult {
  /** Business that met more than one version of the inner service, as clients saw it; and the first of it. */
  readonly mixed: number;
  readonly mixes: LoadSummary['mixes'];
  /** Calls that came to a sidecar without context, or whose version was out by then. */
  readonly contextMissing: number;
  readonly contextOutdated: number;
  readonly web: readonly ServerResult[];
}

/** What `npm run demo -- --json` prints. */
export interface DemoResult {
  readonly ok: boolean;
  /** Why it is not ok, for a person. */
  readonly problems: readonly string[];
  readonly outcome: UpgradeReport['outcome'];
  readonly winner: string | null;
  readonly approvedBy: string | null;
  readonly startUpMs: number;
  readonly upgradeMs: number;
  readonly load: {
    readonly rate: number;
    readonly slowestSecond: number;
    readonly sent: number;
    readonly answered: number;
    readonly lost: number;
    readonly p50Ms: number | null;
    readonly p99Ms: number | null;
  };
  readonly transactions: { readonly started: number; readonly finished: number; readonly cut: number };
  readonly losses: LoadSummary['losses'];
  readonly cuts: LoadSummary['cuts'];
  readonly servers: readonly ServerResult[];
  readonly uniform: boolean;
  readonly tiers: TiersResult | null;
  readonly efficacy: readonly VersionEfficacy[];
  /** Whether gateways and clients counted the same for every version. */
  readonly countsAgree: boolean;
  readonly upgrade: UpgradeReport;
}

export interface DemoEvidence {
  readonly options: Pick<DemoOptions, 'rollback' | 'interactive' | 'rate'>;
  readonly report: UpgradeReport;
  readonly summary: LoadSummary;
  readonly traffic: TrafficAnswer;
  readonly servers: readonly ServerResult[];
  readonly tiers: TiersResult | null;
  readonly startUpMs: number;
  /** When the load was told to send nothing new, in epoch milliseconds. */
  readonly stoppedAtMs: number;
}

/** Pure: what the evidence says, and whether that is a success. */
export function judge(evidence: DemoEvidence): DemoResult {
  const { report, summary, servers, tiers, options } = evidence;
  const { lost, transactions } = summary;
  const uniform = new Set(servers.map(({ version }) => version)).size === 1;
  const efficacy = efficacyByVersion(evidence);
  const problems = [
    ...(lost > 0 ? [`${lost} requests were lost`] : []),
    ...(transactions.cut > 0 ? [`${transactions.cut} transactions were cut`] : []),
    ...(tiers !== null && tiers.mixed > 0
      ? [`${tiers.mixed} business transactions met more than one version of the inner service`]
      : []),
    ...(uniform ? [] : ['the servers do not all run the same version']),
    ...(servers.every(({ healthy }) => healthy) ? [] : ['not every server is healthy']),
    ...unexpectedOutcome(report, options),
  ];
  return {
    ok: problems.length === 0,
    problems,
    outcome: report.outcome,
    winner: report.winner,
    approvedBy: report.decision.approval?.by ?? null,
    startUpMs: Math.round(evidence.startUpMs),
    upgradeMs: Date.parse(report.endedAt) - Date.parse(report.startedAt),
    load: {
      rate: options.rate,
      slowestSecond: slowestSecond(evidence),
      sent: summary.sent,
      answered: summary.answered,
      lost,
      p50Ms: summary.p50Ms,
      p99Ms: summary.p99Ms,
    },
    transactions: {
      started: transactions.started,
      finished: transactions.finished,
      cut: transactions.cut,
    },
    losses: summary.losses,
    cuts: summary.cuts,
    servers,
    uniform,
    tiers,
    efficacy,
    countsAgree: efficacy.every(
      ({ gateways, clients }) =>
        gateways.allocated === clients.allocated && gateways.volume === clients.volume,
    ),
    upgrade: report,
  };
}

/** With an operator every end is a right one. */
function unexpectedOutcome(
  { outcome }: UpgradeReport,
  { rollback, interactive }: DemoEvidence['options'],
): string[] {
  const expected = rollback ? 'rolledBack' : 'promoted';
  if (outcome === expected || (interactive && outcome === 'rolledBack')) return [];
  return [`the upgrade ended as ${outcome}, not as ${expected}`];
}

function efficacyByVersion({ report, summary, traffic }: DemoEvidence): VersionEfficacy[] {
  const versions = [report.baseline, ...report.candidates.map(({ version }) => version)];
  return versions.map((version) => {
    const arm = report.decision.efficacy.arms.find((one) => one.version === version);
    const rows = traffic.counts.filter(({ release }) => release === version);
    const seen = summary.byVersion[version];
    return {
      version,
      trial: ratio(arm?.allocated ?? 0, arm?.volume ?? 0),
      gateways: ratio(
        rows.reduce((sum, row) => sum + row.allocated, 0),
        rows.reduce((sum, row) => sum + row.volumeCount, 0),
      ),
      clients: ratio(seen?.visits ?? 0, seen?.bought ?? 0),
    };
  });
}

function ratio(allocated: number, volume: number): Ratio {
  return { allocated, volume, efficacy: allocated === 0 ? null : volume / allocated };
}

/** Requests sent in the worst whole second of the load, which began and ended within one. */
function slowestSecond({ summary, stoppedAtMs }: DemoEvidence): number {
  const whole = summary.timeline.slice(1).filter(({ at }) => at + 1000 <= stoppedAtMs);
  return whole.length === 0 ? 0 : Math.min(...whole.map(({ sent }) => sent));
}
