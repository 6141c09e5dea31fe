import { readFile } from 'node:fs/promises';

/** Numbers of the user that packages of HAProxy create; null where there is none, or we may not run as somebody else. */
export async function haproxyUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  const line = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .find((each) => each.startsWith('haproxy:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}
