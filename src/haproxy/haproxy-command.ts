import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Where HAProxy is: `HAPROXY`, PATH, /usr/sbin (which is not on every PATH). Null where there is none. */
export async function findHaproxy(env: NodeJS.ProcessEnv): Promise<string | null> {
  const named = env['HAPROXY'];
  const candidates =
    named !== undefined && named !== ''
      ? [named]
      : [
          ...(env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
          '/usr/sbin',
          '/usr/local/sbin',
        ].map((folder) => join(folder, 'haproxy'));
  for (const path of candidates) {
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return null;
}

/** What `haproxy -c` says of a configuration. */
export function haproxyVerdict(
  haproxy: string,
  configFile: string,
): Promise<{ ok: boolean; message: string }> {
  return new Promise((resolve) => {
    execFile(haproxy, ['-c', '-f', configFile], (error, stdout, stderr) => {
      resolve({ ok: error === null, message: `${stdout}${stderr}`.trim() });
    });
  });
}
