import { AmountSum } from '../domain/amount.ts';
import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import { isAllotted } from '../domain/policy/allotment.ts';

/** How an exchange with a server ended. */
export type Outcome = 'answered' | 'failed' | 'aborted';

/** Counters of one (release, server, bucket), mutable: the hot path keeps the row and adds to it. */
export class TrafficRow {
  readonly release: string;
  readonly cluster: string;
  readonly server: string;
  readonly bucket: string;
  /** Its requests went where the policy sent them. */
  readonly allotted: boolean;
  #requests = 0;
  #allocated = 0;
  #reportedRequests = 0;
  #reportedAllocated = 0;
  #succeeded = 0;
  #clientErrors = 0;
  #serverErrors = 0;
  #failed = 0;
  #aborted = 0;
  #slow = 0;
  #volumeCount = 0;
  readonly #volumeAmount = new AmountSum();
  #unreadAmounts = 0;
  readonly #latency: number[] = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
  #latencySumMs = 0;

  constructor(key: { release: string; cluster: string; server: string; bucket: string }) {
    this.release = key.release;
    this.cluster = key.cluster;
    this.server = key.server;
    this.bucket = key.bucket;
    this.allotted = isAllotted(key.bucket);
  }

  begun(allocated: boolean): void {
    this.#requests += 1;
    if (allocated) this.#allocated += 1;
  }

  /** The request is counted on another row: it was tried here, but cannot have been processed. */
  moved(allocated: boolean): void {
    this.#requests -= 1;
    if (allocated) this.#allocated -= 1;
  }

  answered(status: number, latencyMs: number, slowMs: number): void {
    if (status < 400) this.#succeeded += 1;
    else if (status < 500) this.#clientErrors += 1;
    else this.#serverErrors += 1;
    if (latencyMs > slowMs) this.#slow += 1;
    let bound = 0;
    while (bound < LATENCY_BOUNDS_MS.length && latencyMs > (LATENCY_BOUNDS_MS[bound] ?? Infinity)) bound += 1;
    this.#latency[bound] = (this.#latency[bound] ?? 0) + 1;
    this.#latencySumMs += latencyMs;
  }

  unanswered(outcome: 'failed' | 'aborted'): void {
    if (outcome === 'failed') this.#failed += 1;
    else this.#aborted += 1;
  }

  volume(amount: number): void {
    this.#volumeCount += 1;
    if (amount !== 0) this.#volumeAmount.add(amount);
  }

  /** An answer of transaction volume had what is no amount. */
  unread(): void {
    this.#unreadAmounts += 1;
  }

  /** What is reported only grows, also where it was read between a try and its move to another server. */
  toCount(): TrafficCount & { latency: number[] } {
    this.#reportedRequests = Math.max(this.#reportedRequests, this.#requests);
    this.#reportedAllocated = Math.max(this.#reportedAllocated, this.#allocated);
    return {
      release: this.release,
      cluster: this.cluster,
      server: this.server,
      bucket: this.bucket,
      requests: this.#reportedRequests,
      allocated: this.#reportedAllocated,
      succeeded: this.#succeeded,
      clientErrors: this.#clientErrors,
      serverErrors: this.#serverErrors,
      failed: this.#failed,
      aborted: this.#aborted,
      slow: this.#slow,
      volumeCount: this.#volumeCount,
      volumeAmount: this.#volumeAmount.value,
      ...(this.#unreadAmounts === 0 ? {} : { unreadAmounts: this.#unreadAmounts }),
      latency: [...this.#latency],
      latencySumMs: this.#latencySumMs,
    };
  }
}
