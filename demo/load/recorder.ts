import { lossOf, type Exchange } from './exchange.ts';
import { createKeyRecord } from './key-record.ts';
import { createLatencyHistogram } from './latency-histogram.ts';
import type { Business } from './mix.ts';
import type { Cut, LoadSummary, LoadTotals, Loss, LossKind, Mix, VersionCount } from './summary.ts';
import { createTimeline } from './timeline.ts';

/** How many losses and cuts are kept with their circumstances; all are counted. */
const KEPT = 500;

/** Counts what a load generator sends and gets; what it says is conserved (see `loadTotalsSchema`). */
export interface Recorder {
  /** Requests so far. */
  readonly sent: number;
  sending(): void;
  done(exchange: Exchange): void;
  transactionStarted(): void;
  transactionFinished(): void;
  transactionCut(business: Business, at: { readonly path: string; readonly reason: string }): void;
  /** All of a business transaction has ended; it met these versions of the inner service. */
  businessEnded(business: Business, met: ReadonlySet<string>): void;
  lagging(ms: number): void;
  totals(): LoadTotals;
  summary(): LoadSummary;
}

export function createRecorder(): Recorder {
  const startedAt = Date.now();
  const timeline = createTimeline();
  const latency = createLatencyHistogram();
  const keys = createKeyRecord();
  const lostBy: Record<LossKind, number> = { network: 0, timeout: 0, gatewayError: 0, serverError: 0 };
  const byStatus = new Map<string, number>();
  const byVersion = new Map<string, VersionCount>();
  const transactions = { started: 0, finished: 0, cut: 0 };
  const losses: Loss[] = [];
  const cuts: Cut[] = [];
  const mixes: Mix[] = [];
  let mixed = 0;
  let sent = 0;
  let answered = 0;
  let lost = 0;
  let maxLagMs = 0;

  function lose(exchange: Exchange, loss: { readonly kind: LossKind; readonly error: string }): void {
    const { business, step, reply } = exchange;
    lost += 1;
    lostBy[loss.kind] += 1;
    if (losses.length >= KEPT) return;
    losses.push({
      at: Date.now(),
      ...loss,
      path: step.path,
      account: business.account,
      transaction: business.kind === 'transaction' ? business.id : null,
      version: reply.status === null ? null : reply.version,
    });
  }

  function countVersion({ business, step, reply, sentAt, durationMs }: Exchange): void {
    if (reply.status === null || reply.version === null) return;
    // Where another service decides on the business, it is that one's version.
    const version = reply.innerVersions[0] ?? reply.version;
    const before = byVersion.get(version) ?? { answers: 0, visits: 0, bought: 0, amount: 0 };
    byVersion.set(version, {
      answers: before.answers + 1,
      visits: before.visits + (business.kind === 'visit' ? 1 : 0),
      bought: before.bought + (reply.bought ? 1 : 0),
      amount: before.amount + reply.amount,
    });
    // The later steps of a transaction stay where it began, whatever the policy says by now.
    if (step === business.steps[0])
      keys.seen(business.account, version, { sentAt, answeredAt: sentAt + durationMs });
  }

  function done(exchange: Exchange): void {
    const { business, durationMs, reply } = exchange;
    const loss = lossOf(reply);
    if (loss === undefined) answered += 1;
    else lose(exchange, loss);
    if (reply.status !== null) {
      const statusClass = `${Math.floor(reply.status / 100)}xx`;
      byStatus.set(statusClass, (byStatus.get(statusClass) ?? 0) + 1);
    }
    countVersion(exchange);
    // How long a slow request takes is its own wish, and says nothing of those who carry it.
    const measured = reply.status !== null && business.kind !== 'slow';
    if (measured) latency.record(durationMs);
    timeline.done({
      lost: loss !== undefined,
      version: reply.status === null ? null : reply.version,
      latencyMs: measured ? durationMs : null,
    });
  }

  function totals(): LoadTotals {
    const { started, finished, cut } = transactions;
    return {
      at: Date.now(),
      elapsedMs: Date.now() - startedAt,
      sent,
      answered,
      lost,
      underWay: sent - answered - lost,
      lostBy: { ...lostBy },
      byStatus: Object.fromEntries(byStatus),
      losses: [...losses],
      transactions: { started, finished, cut, underWay: started - finished - cut },
      cuts: [...cuts],
      mixed,
      mixes: [...mixes],
      byVersion: Object.fromEntries(byVersion),
      p50Ms: latency.quantile(0.5),
      p99Ms: latency.quantile(0.99),
      lastSecond: timeline.lastSecond(),
      maxLagMs: Math.round(maxLagMs),
    };
  }

  return {
    get sent() {
      return sent;
    },
    sending: () => {
      sent += 1;
      timeline.sending();
    },
    done,
    transactionStarted: () => {
      transactions.started += 1;
    },
    transactionFinished: () => {
      transactions.finished += 1;
    },
    transactionCut: (business, where) => {
      transactions.cut += 1;
      if (cuts.length >= KEPT) return;
      cuts.push({ at: Date.now(), transaction: business.id, account: business.account, ...where });
    },
    businessEnded: (business, met) => {
      if (met.size < 2) return;
      mixed += 1;
      if (mixes.length >= KEPT) return;
      mixes.push({ at: Date.now(), business: business.id, kind: business.kind, versions: [...met] });
    },
    lagging: (ms) => {
      maxLagMs = Math.max(maxLagMs, ms);
    },
    totals,
    summary: () => ({ ...totals(), timeline: timeline.seconds(), keys: keys.keys(), moves: keys.moves() }),
  };
}
