import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isNotShown } from '../os/not-shown.ts';
import { type ProcessStat, readProcessStat } from '../os/process-stat.ts';

/** One process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as the system tells it; opaque. */
  readonly started: string;
}

const onLinux = process.platform === 'linux';

/** The live process with this number, or undefined. A zombie is not alive. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (!onLinux) return identityByPs(pid);
  const stat = readProcessStat(pid);
  return stat?.isLive === true ? { pid, started: startOf(stat) } : undefined;
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
  const present = readProcessStat(leader.pid);
  // Its number is taken by another process: a number is not reused while a group of that name exists.
  if (present && startOf(present) !== leader.started) return [];
  // One question for all of them, before every process of the host is looked at.
  if (!groupExists(leader.pid)) return [];
  return allPids().filter((pid) => {
    const stat = readProcessStat(pid);
    return stat?.group === leader.pid && stat.isLive;
  });
}

/** Signals the process group that this process leads, also when it is gone already; false if there is none any more. */
export function signalGroup(leader: ProcessIdentity, name: NodeJS.Signals): boolean {
  const present = onLinux ? readProcessStat(leader.pid) : undefined;
  return (present === undefined || startOf(present) === leader.started) && signal(-leader.pid, name);
}

/** Whether a process belongs to the group that this one leads; never where the system does not tell. */
export function isInGroup(pid: number, leader: ProcessIdentity): boolean {
  return readProcessStat(pid)?.group === leader.pid;
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
  } catch (error) {
    if (!isNotShown(error)) throw error;
    return false;
  }
}

export function leadsGroup(pid: number): boolean {
  return readProcessStat(pid)?.group === pid;
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

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

let knownBootId: string | undefined;
/** Start times count from boot: without its id a process of before a reboot might be taken for another. */
function startOf({ started }: ProcessStat): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${knownBootId}:${started}`;
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
