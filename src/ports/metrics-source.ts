import type { MetricsReading } from '../domain/decision/source-block.ts';

/** A stretch of a trial, and the versions that are compared in it. */
export interface MetricsQuery {
  readonly arms: readonly string[];
  /** When the trial began, ISO 8601: everything is counted from here. */
  readonly since: string;
  /** Now, ISO 8601. A source that waits for outcomes to settle counts to an earlier moment, and says to which. */
  readonly until: string;
}

/** Where units and outcomes of the versions are read, other than at the gateways. */
export interface MetricsSource {
  /**
   * How long before `until` it counts to, in milliseconds: it says what was counted up to any moment. Null: it says what
   * is counted now, and nothing of the past.
   */
  readonly delayMs: number | null;
  /**
   * What was counted of each version since the trial began, up to `at` of the answer. Reading again changes nothing.
   *
   * @throws ChangeoverError `MetricsUnusable`: names source and version, what it held and what it may hold; or the reason
   *   of `signal` where that ended the reading.
   */
  read(query: MetricsQuery, options: { readonly signal?: AbortSignal | undefined }): Promise<MetricsReading>;
}
