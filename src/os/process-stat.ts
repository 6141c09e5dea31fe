import { readFileSync } from 'node:fs';
import { isNotShown } from './not-shown.ts';

/** A process, as Linux tells of it. */
export interface ProcessStat {
  readonly pid: number;
  /** Its command, cut to 15 characters. */
  readonly name: string;
  /** A zombie is not. */
  readonly isLive: boolean;
  readonly parent: number;
  readonly group: number;
  /** Clock ticks since the system's start. */
  readonly started: number;
}

/**
 * Fields 2 to 5 and 22 of /proc/pid/stat (proc_pid_stat(5)); undefined where there is no such process, or not Linux.
 *
 * @throws Error where it cannot be said whether there is.
 */
export function readProcessStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (!isNotShown(error)) throw error;
    return undefined;
  }
  // The name may hold anything.
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, end),
    isLive: fields[0] !== 'Z' && fields[0] !== 'X',
    parent: Number(fields[1]),
    group: Number(fields[2]),
    started: Number(fields[19]),
  };
}

/** Another one for a later process that got the same number, as long as the system runs. */
export function processKey({ pid, started }: ProcessStat): string {
  return `${pid}@${started}`;
}
