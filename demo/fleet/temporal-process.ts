import { join } from 'node:path';
import { startDevServer, type DevServer } from '../../src/dev-server/dev-server.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import type { FleetProcess } from './fleet-process.ts';

export interface TemporalProcess extends FleetProcess {
  readonly address: string;
  readonly uiUrl: string;
}

/** Temporal's development server with its runs on disk, so that they survive a kill. */
export async function createTemporalProcess(config: {
  folder: string;
  onSpawn: (name: string, pid: number) => Promise<void>;
  onProgress?: ((sentence: string) => void) | undefined;
}): Promise<TemporalProcess> {
  const name = 'temporal';
  const [port = 0, uiPort = 0] = await freePorts(2);
  const logFile = join(config.folder, 'logs', `${name}.log`);
  const dbFile = join(config.folder, 'temporal.db');
  let server: DevServer | undefined;
  let starting: Promise<void> | undefined;
  let pid = 0;

  async function start(): Promise<void> {
    if (server !== undefined) return;
    server = await startDevServer({
      port,
      uiPort,
      dbFile,
      logFile,
      ...(config.onProgress === undefined ? {} : { onProgress: config.onProgress }),
    });
    pid = server.pid;
    await config.onSpawn(name, pid);
  }

  const begin = (): Promise<void> => (starting = start());

  async function end(how: (server: DevServer) => Promise<void>): Promise<void> {
    await starting?.catch(() => undefined);
    const ending = server;
    server = undefined;
    if (ending !== undefined) await how(ending);
  }
  const stop = (): Promise<void> => end((ending) => ending.close());

  return {
    name,
    logFile,
    address: `127.0.0.1:${port}`,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    get pid() {
      return pid;
    },
    get running() {
      return server !== undefined;
    },
    start: begin,
    kill: async (signal = 'SIGKILL') => {
      if (signal === 'SIGKILL') await end((ending) => ending.kill());
      else if (signal === 'SIGTERM') await stop();
      else if (server !== undefined) process.kill(pid, signal);
    },
    stop,
    restart: async () => {
      await stop();
      await begin();
    },
    waitUntilReady: async () => starting,
  };
}
