import { readFile } from 'node:fs/promises';

/** Clock ticks per second in /proc, which Linux fixes for programs (proc(5), USER_HZ). */
const TICKS_PER_SECOND = 100;

/** CPU time of a process, user and system, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  if (pid === 0) return 0;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field, the command in parentheses, may itself contain spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
