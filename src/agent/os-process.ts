import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the system tells it; opaque. */
  readonly started: string;
}

const onLinux = process.platform === 'linux';

interface ProcStat {
  readonly pid: number;
  readonly state: string;
  readonly group: number;
  readonly started: string;
}

/** The live process with this number, or undefined. A zombie is not alive. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (!onLinux) return identityByPs(pid);
  const stat = readStat(pid);
  return stat && isLive(stat) ? { pid, started: stat.started } : undefined;
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.started === identity.started;
}

/**
 * Live members of the process group that this process leads, itself included, also when it is gone already; as targets
 * for `signal`. Where the system does not list them it is the group as a whole: its number with a minus.
 */
export function liveGroup(leader: ProcessIdentity): number[] {
  if (!onLinux) return groupExists(leader.pid) ? [-leader.pid] : [];
  const present = readStat(leader.pid);
  // Its number is taken by another process: a number is not reused while a group of that name exists.
  if (present && present.started !== leader.started) return [];
  // One question for all of them, before every process of the host is looked at.
  if (!groupExists(leader.pid)) return [];
  return allStats()
    .filter((stat) => stat.group === leader.pid && isLive(stat))
    .map((stat) => stat.pid);
}

/**
 * Live processes that were started with this environment variable, and so their descendants. It finds what was started
 * in the instant before its number could be written down. Linux only; elsewhere nothing is found.
 */
export function processesWithEnv(name: string, value: string): ProcessIdentity[] {
  if (!onLinux) return [];
  const entry = Buffer.from(`\0${name}=${value}\0`);
  return allPids()
    .filter((pid) => pid !== process.pid && isStartedWith(pid, entry))
    .map(identityOf)
    .filter((identity) => identity !== undefined);
}

/** Whether the entry, between two zero bytes, is in the process's environment. Of every process on the host: no parsing. */
function isStartedWith(pid: number, entry: Buffer): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`);
    // The first entry has no zero byte before it.
    return environment.includes(entry) || environment.indexOf(entry.subarray(1)) === 0;
  } catch {
    return false;
  }
}

export function leadsGroup(pid: number): boolean {
  return readStat(pid)?.group === pid;
}

/** The environment with which a process started; empty where the system does not tell. */
export function environmentOf(pid: number): Readonly<Record<string, string>> {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return Object.fromEntries(
      entries.filter((entry) => entry.includes('=')).map((entry) => splitOnce(entry)),
    );
  } catch {
    return {};
  }
}

/** The folder in which a process works now, links resolved; undefined where the system does not tell. */
export function workingFolderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** Signals a process or (negative number) a group; false if there is none. */
export function signal(target: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(target, name);
    return true;
  } catch {
    return false;
  }
}

/** Fields 3, 5 and 22 of /proc/pid/stat (proc_pid_stat(5)); the name in field 2 may contain anything. */
function readStat(pid: number): ProcStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state = 'X'] = fields;
    return { pid, state, group: Number(fields[2]), started: `${bootId()}:${fields[19] ?? ''}` };
  } catch {
    return undefined;
  }
}

function isLive(stat: ProcStat): boolean {
  return stat.state !== 'Z' && stat.state !== 'X';
}

function allStats(): ProcStat[] {
  return allPids()
    .map(readStat)
    .filter((stat) => stat !== undefined);
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

let knownBootId: string | undefined;
/** Start times count from boot: without its id a process of before a reboot might be taken for another. */
function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return knownBootId;
}

function identityByPs(pid: number): ProcessIdentity | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state = '', ...started] = line.split(/\s+/);
    return line === '' || state.startsWith('Z') ? undefined : { pid, started: started.join(' ') };
  } catch {
    return undefined;
  }
}

function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    // Any other answer is about the right to signal one that exists.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function splitOnce(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return [entry.slice(0, at), entry.slice(at + 1)];
}
