import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Whether certificates can be made on this machine. */
export const HAS_OPENSSL = await run('openssl', ['version']).then(
  () => true,
  () => false,
);

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate that is its own authority, as files too: `ca` is what trusts it, `pem` has the key as well. */
export interface CertificateFiles extends Certificate, AsyncDisposable {
  readonly ca: string;
  readonly pem: string;
}

/** @param names - as `subjectAltName` takes them, such as `DNS:localhost` or `IP:127.0.0.1`. */
export async function certificateFor(...names: string[]): Promise<CertificateFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'));
  const [ca, keyFile, pem] = ['ca.pem', 'key.pem', 'both.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`];
  await run('openssl', ['req', ...kind, ...subject, '-keyout', keyFile, '-out', ca]);
  const [cert, key] = await Promise.all([readFile(ca, 'utf8'), readFile(keyFile, 'utf8')]);
  await writeFile(pem, cert + key);
  return { cert, key, ca, pem, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
