/** What the exit code of every command says; scripts rely on it, and `--help` and the README show it. */
export const EXIT = {
  ok: 0,
  /** The upgrade failed, was rolled back or left servers out; or something unexpected happened. */
  failed: 1,
  badInput: 2,
  notNow: 3,
  unreachable: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0  done; of status and watch: the upgrade runs, or promoted its winner
  1  the upgrade failed, was rolled back or left servers out; or something unexpected happened
  2  wrong input: plan, option, configuration or environment
  3  not possible now: no such upgrade, another one runs, or its phase does not allow it
  4  not reachable: Temporal, a worker, the flow controller`;
