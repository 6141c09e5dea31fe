import { spawnSync } from 'node:child_process';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { freePorts } from '../../../../src/dev-server/free-port.ts';
import { ComponentProcess, findCommand } from './component-process.ts';

/** Debian's and Ubuntu's folder is off the path. */
export const POSTGRES = findCommand('postgres', process.env.POSTGRES, ['/usr/lib/postgresql/15/bin']);

export const PASSWORD = 'hunter2-of-the-database';

/** A PostgreSQL of its own, in a temporary folder, on a free port. */
export class Postgres implements AsyncDisposable {
  private readonly server: ComponentProcess;
  private readonly folder: string;
  /** As the environment of a worker holds it. */
  readonly connectionString: string;
  private readonly client: pg.Client;

  private constructor(server: ComponentProcess, folder: string, connectionString: string, client: pg.Client) {
    this.server = server;
    this.folder = folder;
    this.connectionString = connectionString;
    this.client = client;
  }

  static async start(): Promise<Postgres> {
    if (POSTGRES === null) throw new Error('postgres is not installed');
    const folder = await mkdtemp(join(tmpdir(), 'changeover-postgres-'));
    const owner = await unprivilegedUser();
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, PASSWORD);
    if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid);
    const data = join(folder, 'data');
    const run = { cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C' }, ...owner };
    const made = spawnSync(
      join(dirname(POSTGRES), 'initdb'),
      [
        '-D',
        data,
        '-U',
        'bank',
        '--auth=scram-sha-256',
        `--pwfile=${passwordFile}`,
        '--no-sync',
        '-E',
        'UTF8',
      ],
      { ...run, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb: ${made.error?.message ?? made.stderr}`);
    const [port = 0] = await freePorts(1);
    const connectionString = `postgres://bank:${PASSWORD}@127.0.0.1:${port}/postgres`;
    const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'off' };
    let client: pg.Client | undefined;
    const server = await ComponentProcess.start(
      POSTGRES,
      [
        '-D',
        data,
        '-p',
        String(port),
        ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      ],
      {
        spawn: run,
        // "Fast shutdown": connections are ended.
        stopSignal: 'SIGINT',
        ready: async () => {
          const attempt = new pg.Client({ connectionString });
          attempt.on('error', () => undefined);
          await attempt.connect();
          client = attempt;
        },
      },
    );
    if (client === undefined) throw new Error('no connection');
    return new Postgres(server, folder, connectionString, client);
  }

  async run(text: string, values: unknown[] = []): Promise<void> {
    await this.client.query(text, values);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.end();
    await this.server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** PostgreSQL refuses to run as root: then as its own user, or as one who owns nothing. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const user = ['postgres', 'nobody'].map((name) => users.find(([own]) => own === name)).find(Boolean);
  if (user === undefined) throw new Error('There is neither a user postgres nor nobody.');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}
