import type { Release } from './releases.ts';

/** What the operating system (or the status hook) says about the software now. */
export type Running =
  | { readonly state: 'running'; readonly release: Release | undefined }
  /** `exit`: how it ended, for a person, where that is known. */
  | { readonly state: 'stopped'; readonly exit: string | undefined }
  /** There is no way to ask but the health URL; `release` is what was started last. */
  | { readonly state: 'unknown'; readonly release: Release | undefined };

/**
 * The software that the agent upgrades: a command, a systemd unit, or hook commands. Every method may be repeated.
 * `stop` returns once nothing of it runs any more; so at most one version runs at any instant.
 */
export interface Software {
  /** Whether the agent itself has to restart it when it ends by itself. */
  readonly supervised: boolean;
  /**
   * Starts this release, unless it runs already. Returns once it was started; whether it is healthy is asked elsewhere.
   *
   * @throws ChangeoverError `StartFailed`
   */
  start(release: Release): Promise<void>;
  /**
   * Returns a note for the operator where it did not stop in the orderly way.
   *
   * @throws ChangeoverError `StopFailed` if it still runs after everything that can be done.
   */
  stop(): Promise<string | undefined>;
  running(): Promise<Running>;
  /** The last lines that it printed since its last start. */
  lastLines(): Promise<string[]>;
}
