import { formatCount } from '../../src/domain/decision/sentence.ts';
import type { LoadTotals } from '../load/summary.ts';
import type { Snapshot } from '../snapshot.ts';

/** How the traffic fares, in one line. */
export function trafficText({ lastSecond, answered, lost, transactions, underWay }: LoadTotals): string {
  const parts = [
    `${lastSecond.sent} requests/s`,
    `${formatCount(answered)} answered`,
    `${formatCount(underWay)} under way`,
    `${lost} lost`,
    `${transactions.finished} transactions finished, ${transactions.cut} cut`,
  ];
  const { p50Ms, p99Ms } = lastSecond;
  if (p50Ms !== null && p99Ms !== null) parts.push(`p50 ${latency(p50Ms)}, p99 ${latency(p99Ms)}`);
  return parts.join(' · ');
}

export function latency(latencyMs: number): string {
  return `${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
}

/** What is being done, and what for it has to wait. */
export function waitingText({ status, draining }: Snapshot): string {
  if (status.paused !== null) return `Paused: ${status.paused.reason}`;
  const { what } = status.step;
  return draining === null ? what : `${what}: ${drainingText(draining)}`;
}

export function drainingText({ requests, transactions }: NonNullable<Snapshot['draining']>): string {
  return `${counted(requests, 'request')} and ${counted(transactions, 'transaction')} still end there`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
