import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChangeoverError } from '../domain/errors.ts';
import { SEARCH_ATTRIBUTES } from '../domain/search-attributes.ts';
import { connectTemporal, ensureSearchAttributes } from '../temporal.ts';
import { bindToThisProcess, endProcess } from './bound-process.ts';
import { findTemporal } from './find-temporal.ts';
import { answers, freePorts, isFree } from './free-port.ts';

export interface DevServerOptions {
  /** Path of the `temporal` command; found, or obtained, where absent. */
  readonly executable?: string;
  readonly port?: number;
  readonly uiPort?: number;
  /** SQLite file, so that runs survive the server; absent: in memory. */
  readonly dbFile?: string;
  /** What the server prints goes here, appended. */
  readonly logFile: string;
  readonly onProgress?: (sentence: string) => void;
}

/** A Temporal server of our own on this machine, for demos and tests; never for production. */
export interface DevServer extends AsyncDisposable {
  readonly address: string;
  readonly uiUrl: string;
  readonly port: number;
  readonly uiPort: number;
  readonly pid: number;
  /** SIGKILL, as a power cut would: resolves once it is gone. Start it again with the same ports and `dbFile`. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The server's queue processors poll slowly by default, which makes each of a workflow's steps take 100 ms: these values
 * bring it to under 10 ms. By eager execution an activity goes straight to the worker that asked for it. The pragmas keep
 * it there where runs are kept on disk.
 */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxTimeShift="10ms"',
  'system.enableActivityEagerExecution=true',
];
const SQLITE_PRAGMAS = ['journal_mode=wal', 'synchronous=1'];

const CLI_TYPES = { KEYWORD: 'Keyword', KEYWORD_LIST: 'KeywordList' } as const;

const START_TIMEOUT_MS = 60_000;
/** The server takes about a second to stop in order. */
const STOP_GRACE_MS = 5_000;
const HOST = '127.0.0.1';

/**
 * Starts the server and waits until it answers, knows its namespace and our search attributes. It ends with this process.
 *
 * @throws ChangeoverError `NotFound` where no server can be had; `InvalidRequest` where a port is taken; `TemporalUnreachable` with its last lines where it does
 *   not start
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const executable =
    options.executable ??
    (await findTemporal(options.onProgress === undefined ? {} : { onProgress: options.onProgress }));
  const [freeForGrpc = 0, freeForUi = 0] = await freePorts(2, HOST);
  const port = options.port ?? freeForGrpc;
  const uiPort = options.uiPort ?? freeForUi;
  await refuseTaken(port, uiPort);

  const child = await spawnServer(
    executable,
    commandLine({ port, uiPort, dbFile: options.dbFile }),
    options.logFile,
  );
  const address = `${HOST}:${port}`;
  try {
    await untilItAnswers(child, port);
  } catch (error) {
    await endProcess(child, STOP_GRACE_MS);
    throw new ChangeoverError(
      'TemporalUnreachable',
      `The Temporal server did not start: ${error instanceof Error ? error.message : String(error)}\n` +
        `Its last lines (${options.logFile}):\n${await lastLines(options.logFile, 10)}`,
      { cause: error },
    );
  }
  const close = () => endProcess(child, STOP_GRACE_MS);
  return {
    address,
    uiUrl: `http://${HOST}:${uiPort}`,
    port,
    uiPort,
    pid: child.pid ?? 0,
    kill: async () => {
      if (hasEnded(child)) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Otherwise another server on that port would be taken for ours. */
async function refuseTaken(...ports: number[]): Promise<void> {
  for (const port of ports) {
    if (await isFree(port, HOST)) continue;
    throw new ChangeoverError(
      'InvalidRequest',
      `Port ${port} of ${HOST} is taken: end what listens there, or choose another one for the Temporal server.`,
    );
  }
}

function commandLine({
  port,
  uiPort,
  dbFile,
}: {
  port: number;
  uiPort: number;
  dbFile: string | undefined;
}): string[] {
  const attributes = Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => `${name}=${CLI_TYPES[type]}`);
  return [
    ...['server', 'start-dev', '--ip', HOST, '--port', String(port), '--ui-port', String(uiPort)],
    ...['--log-level', 'error'],
    ...attributes.flatMap((attribute) => ['--search-attribute', attribute]),
    ...DYNAMIC_CONFIG.flatMap((value) => ['--dynamic-config-value', value]),
    ...(dbFile === undefined ? [] : ['--db-filename', dbFile]),
    ...(dbFile === undefined ? [] : SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma])),
  ];
}

async function spawnServer(executable: string, args: string[], logFile: string): Promise<ChildProcess> {
  await mkdir(dirname(logFile), { recursive: true });
  const log = await open(logFile, 'a');
  try {
    // In a session of its own: Ctrl-C on the terminal goes to us alone, and we decide in which order things end.
    const child = spawn(executable, args, { detached: true, stdio: ['ignore', log.fd, log.fd] });
    await once(child, 'spawn');
    bindToThisProcess(child);
    return child;
  } finally {
    await log.close();
  }
}

async function untilItAnswers(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  // A gRPC client that comes too early waits a second before its next attempt.
  while (!(await answers(port, HOST))) {
    if (hasEnded(child))
      throw new Error(`it ended with ${child.signalCode ?? `exit code ${child.exitCode}`}`);
    if (performance.now() > deadline) throw new Error(`nothing listens on port ${port} yet`);
    await delay(20);
  }
  await using temporal = await connectTemporal({ TEMPORAL_ADDRESS: `${HOST}:${port}` });
  const { connection, namespace } = temporal;
  for (;;) {
    try {
      await connection.workflowService.describeNamespace({ namespace });
      await ensureSearchAttributes(connection, namespace);
      return;
    } catch (error) {
      if (hasEnded(child) || performance.now() > deadline) throw error;
    }
    await delay(20);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function lastLines(file: string, count: number): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
