import Table from 'cli-table3';
import type { Scale } from './scale.ts';
import type { Switches } from './switches.ts';

/** Times may grow as fast as the number of servers. */
const SCALE_GOAL = 1;
const STEPS = ['closeMs', 'loadMs', 'openMs'] as const;

export type SwitchRow = Switches & {
  readonly what: string;
  readonly gateways: number;
  readonly ratePerSecond: number;
};
export type ScaleRow = Scale & { readonly kind: string; readonly servers: number };

export interface Report {
  readonly switches: readonly SwitchRow[];
  readonly scales: readonly ScaleRow[];
}

interface Growth {
  readonly kind: string;
  readonly step: (typeof STEPS)[number];
  /** Servers of the largest table over those of the smallest, and times alike. */
  readonly servers: number;
  readonly time: number;
  readonly kept: boolean;
}

export function reportJson(report: Report): { text: string; kept: boolean } {
  const growth = growthOf(report.scales);
  return { text: JSON.stringify({ ...report, growth }, null, 2), kept: keptBy(report, growth) };
}

export function reportTables(report: Report): { text: string; kept: boolean } {
  const growth = growthOf(report.scales);
  const parts: string[] = [];
  if (report.switches.length > 0) parts.push(switchTable(report));
  if (report.scales.length > 0) parts.push(scaleTable(report.scales), ...growth.map(verdict));
  return { text: parts.join('\n'), kept: keptBy(report, growth) };
}

function keptBy({ switches }: Report, growth: readonly Growth[]): boolean {
  return growth.every(({ kept }) => kept) && switches.every(({ failed }) => failed === 0);
}

function switchTable({ switches }: Report): string {
  const table = new Table({
    head: [
      'gateways',
      'last request by the old table, p50 ms',
      'p99 ms',
      'all acknowledged, p50 ms',
      'p99 ms',
      'resolution, ms',
      'activations',
      'requests',
      'failed',
      'not sent',
    ],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [17, 18, 9, 15, 9, 13, 13, 10, 8, 8],
  });
  for (const { what, gateways, ratePerSecond, lastMs, ackedMs, answered, failed, omitted } of switches) {
    table.push([
      what === 'HAProxy alone' ? what : `${gateways} ${what}`,
      ...[quantile(lastMs, 0.5), quantile(lastMs, 0.99), quantile(ackedMs, 0.5), quantile(ackedMs, 0.99)].map(
        (ms) => ms.toFixed(1),
      ),
      ((1000 * gateways) / ratePerSecond).toFixed(1),
      lastMs.length,
      answered,
      failed,
      omitted,
    ]);
  }
  return table.toString();
}

function scaleTable(scales: readonly ScaleRow[]): string {
  const table = new Table({
    head: ['gateway', 'servers', 'close half, ms', 'read in flight, ms', 'open again, ms'],
    style: { head: [], border: [] },
  });
  for (const row of scales)
    table.push([row.kind, row.servers, ...STEPS.map((step) => quantile(row[step], 0.5).toFixed(1))]);
  return table.toString();
}

function growthOf(scales: readonly ScaleRow[]): Growth[] {
  return [...new Set(scales.map(({ kind }) => kind))].flatMap((kind) => {
    const rows = scales.filter((row) => row.kind === kind).sort((a, b) => a.servers - b.servers);
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined || first === last) return [];
    const servers = last.servers / first.servers;
    return STEPS.map((step): Growth => {
      const time = quantile(last[step], 0.5) / quantile(first[step], 0.5);
      return { kind, step, servers, time, kept: time <= servers * SCALE_GOAL };
    });
  });
}

function verdict({ kind, step, servers, time, kept }: Growth): string {
  const name = { closeMs: 'closing', loadMs: 'reading', openMs: 'opening' }[step];
  return `${kind}, ${name}: ${time.toFixed(2)} × as long for ${servers} × the servers (goal: at most ${servers * SCALE_GOAL}) ${kept ? 'kept' : 'MISSED'}`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
