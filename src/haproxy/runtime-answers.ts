import { ChangeoverError } from '../domain/errors.ts';
import { stateOf, type ServerState } from './server-states.ts';

/** What the Runtime API answers, read as far as it is needed (management.txt 9.1, 9.3). */

/** Who answers. */
export interface HaproxyProcess {
  /** Another one after each reload or restart. */
  readonly id: string;
  readonly pid: number;
  /** Another one takes its place. */
  readonly stopping: boolean;
}

/** `show info`. */
export function readProcess(answer: string): HaproxyProcess {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(answer)?.[1] ?? '';
  const pid = field('Pid');
  if (pid === '') throw unreadable('show info', answer);
  return { id: `${pid}@${field('Start_time_sec')}`, pid: Number(pid), stopping: field('Stopping') === '1' };
}

/**
 * `show peers`: whether the process has what one before it had in its tables, or waits for nobody any more, which is five
 * seconds after its start (peers.c: `PEERS_RESYNC_FINISHED`). Until then it has nothing to hand on either.
 */
export function hasPeersData(answer: string): boolean {
  const flags = /flags=(0x[0-9a-f]+) resync/.exec(answer)?.[1];
  return flags !== undefined && (Number(flags) & 0x3) === 0x3;
}

/** `get map`: the value found, or undefined. */
export function readMapValue(answer: string): string | undefined {
  return /found=yes.*?val(?:ue)?="([^"]*)"/.exec(answer)?.[1];
}

/** `prepare map`: number of the version that entries can be added to. */
export function readPreparedVersion(answer: string): string {
  const version = /New version created: (\d+)/.exec(answer)?.[1];
  if (version === undefined) throw unreadable('prepare map', answer);
  return version;
}

export interface ServerRow {
  readonly backend: string;
  readonly backendId: number;
  readonly id: number;
  readonly name: string;
  readonly address: string;
  /** Whether HAProxy speaks TLS to it. */
  readonly tls: boolean;
  readonly state: ServerState;
}

/** Of `show servers state`: up to `srv_use_ssl`, the last one that is read. */
const STATE_COLUMNS = 21;

/** `show servers state`. */
export function readServers(answer: string): ServerRow[] {
  return answer
    .split('\n')
    .filter((line) => /^\d+ \S/.test(line))
    .map((line) => {
      const cell = line.split(' ', STATE_COLUMNS);
      return {
        backend: cell[1] ?? '',
        backendId: Number(cell[0]),
        id: Number(cell[2]),
        name: cell[3] ?? '',
        address: `${cell[4] ?? ''}:${cell[18] ?? ''}`,
        tls: cell[20] === '1',
        state: stateOf(Number(cell[6])),
      };
    });
}

export interface ServerStat {
  readonly backend: string;
  readonly server: string;
  /** HAProxy's number of the server. */
  readonly id: number;
  /** Requests under way, those that wait for a connection included. */
  readonly inFlight: number;
  /** Requests that failed without an answer of the server. */
  readonly failed: number;
  /** Requests whose client went away before they were answered; those that broke off inside a body count as answered. */
  readonly aborted: number;
  /** Answers of the server, by what became of the request. */
  readonly answered: {
    readonly succeeded: number;
    readonly clientErrors: number;
    readonly serverErrors: number;
  };
  readonly up: boolean;
  /** Not in maintenance: it is in the slot of the release that it runs. */
  readonly usable: boolean;
}

/** `show stat … 4 …` (CSV): columns by their names, since their order is not promised. */
export function readServerStats(answer: string): ServerStat[] {
  const [header = '', ...lines] = answer.split('\n');
  const names = header.replace(/^# /, '').split(',');
  const at = (name: string): number => names.indexOf(name);
  const [backend, server, current, queued, status, total] = [
    at('pxname'),
    at('svname'),
    at('scur'),
    at('qcur'),
    at('status'),
    at('stot'),
  ];
  const [connect, response, aborted, id] = [at('econ'), at('eresp'), at('cli_abrt'), at('sid')];
  const succeeded = ['hrsp_2xx', 'hrsp_3xx', 'hrsp_other'].map(at);
  const [clientErrors, serverErrors] = [at('hrsp_4xx'), at('hrsp_5xx')];
  if (backend < 0 || current < 0) throw unreadable('show stat', answer);
  // Of about a hundred columns, those up to the last one of interest.
  const columns = 1 + Math.max(backend, server, current, queued, status, connect, response, aborted, id);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const cell = line.split(',', columns);
      const number = (index: number): number => Number(cell[index] ?? 0);
      const answers = {
        succeeded: succeeded.reduce((sum, index) => sum + number(index), 0),
        clientErrors: number(clientErrors),
        serverErrors: number(serverErrors),
      };
      const failures = number(connect) + number(response);
      const given = answers.succeeded + answers.clientErrors + answers.serverErrors;
      const unanswered = number(total) - given - failures - number(current);
      return {
        backend: cell[backend] ?? '',
        server: cell[server] ?? '',
        id: number(id),
        inFlight: number(current) + number(queued),
        failed: failures,
        aborted: Math.min(number(aborted), Math.max(0, unanswered)),
        answered: answers,
        usable: !/^MAINT/.test(cell[status] ?? ''),
        up: !/^DOWN|^NOLB/.test(cell[status] ?? ''),
      };
    });
}

/** `show stat` (CSV): some columns of each line, in the order asked for. */
export function readColumns(answer: string, names: readonly string[]): [string, ...string[]][] {
  const [header = '', ...lines] = answer.split('\n');
  const all = header.replace(/^# /, '').split(',');
  const at = names.map((name) => all.indexOf(name));
  if (at.some((index) => index < 0)) throw unreadable('show stat', answer);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const cells = line.split(',');
      const [first = '', ...others] = at.map((index) => cells[index] ?? '');
      return [first, ...others];
    });
}

export interface TableRow {
  readonly key: string;
  /** Streams that track it. */
  readonly uses: number;
  readonly fields: ReadonlyMap<string, number>;
}

/** `show table`: each entry's key and its numbers. Keys may hold anything, `use=` is what follows them. */
export function readTable(answer: string): TableRow[] {
  const rows: TableRow[] = [];
  for (const line of answer.split('\n')) {
    const match = /^0x[0-9a-f]+: key=(.*) use=(\d+) exp=\d+(.*)$/.exec(line);
    if (match === null) continue;
    const fields = new Map<string, number>();
    for (const [, name = '', value] of (match[3] ?? '').matchAll(/ ([a-z_]+\d*)=(\d+)/g))
      fields.set(name, Number(value));
    rows.push({ key: unescaped(match[1] ?? ''), uses: Number(match[2]), fields });
  }
  return rows;
}

/** `show table`: how many entries there are, whichever were asked for. */
export function readUsed(answer: string): number {
  return Number(/^# table: .* used:(\d+)/m.exec(answer)?.[1] ?? 0);
}

/** Keys are shown with a backslash before what could be mistaken, and octets that cannot be printed as `\\xNN`. */
function unescaped(text: string): string {
  const letters: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', e: '\x1b', 0: '\0' };
  return text.replace(
    /\\(?:x([0-9A-Fa-f]{2})|(.))/g,
    (_, hex: string | undefined, char: string | undefined) =>
      hex === undefined ? (letters[char ?? ''] ?? char ?? '') : String.fromCharCode(parseInt(hex, 16)),
  );
}

/** Where nobody of the process knows the command. */
export function isUnknownCommand(answer: string): boolean {
  return answer.trimStart().startsWith('Unknown command');
}

function unreadable(command: string, answer: string): ChangeoverError {
  return new ChangeoverError(
    'GatewayUnreachable',
    `HAProxy answered "${command}" with something else: ${answer.trim().slice(0, 200)}`,
  );
}
