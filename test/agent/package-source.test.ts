import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPackageSource } from '../../src/agent/package-source.ts';
import type { UpgradeParams } from '../../src/domain/upgrade-params.ts';

const CONTENT = 'a package';
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const options = { signal: new AbortController().signal };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'changeover-source-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function params(path: string, fileName = 'p.tgz'): UpgradeParams {
  return { os: 'linux', path, fileName, version: '1', sha256: SHA256 };
}

function source(packageRoots: string[], maxPackageBytes = 1000) {
  return createPackageSource({ folder: join(dir, 'downloads'), packageRoots, maxPackageBytes });
}

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a package comes from a folder', () => {
  it('below an allowed root, and from nowhere else', async () => {
    const [allowed, other] = [join(dir, 'allowed'), join(dir, 'other')];
    await mkdir(join(allowed, 'sub'), { recursive: true });
    await mkdir(other);
    for (const folder of [allowed, join(allowed, 'sub'), other])
      await writeFile(join(folder, 'p.tgz'), CONTENT);
    await symlink(join(other, 'p.tgz'), join(allowed, 'link.tgz'));
    await symlink(other, join(allowed, 'linked'));
    await source([allowed]).fetch(params(join(allowed, 'sub')), options);

    await rm(join(dir, 'downloads'), { recursive: true });
    for (const outside of [
      params(other),
      params(`${allowed}/../other`),
      params(`${allowed}-else`),
      params(allowed, '../other/p.tgz'),
      params(allowed, 'link.tgz'),
      params(join(allowed, 'linked')),
      params('relative'),
      params('file:///etc'),
    ]) {
      await expect(source([allowed]).fetch(outside, options)).rejects.toMatchObject({
        code: 'PackageNotAllowed',
      });
    }
    await expect(source([allowed]).fetch(params(allowed, 'none.tgz'), options)).rejects.toMatchObject({
      code: 'PackageMissing',
    });
  });

  it('stops at the first byte too many, and leaves nothing behind', async () => {
    await writeFile(join(dir, 'p.tgz'), CONTENT);
    await expect(source([dir], CONTENT.length - 1).fetch(params(dir), options)).rejects.toMatchObject({
      code: 'PackageUnsafe',
    });
    expect(await readdir(join(dir, 'downloads'))).toEqual([]);
    await source([dir], CONTENT.length).fetch(params(dir), options);
  });

  it('is not used when the disk has changed it since', async () => {
    await writeFile(join(dir, 'p.tgz'), CONTENT);
    const packages = source([dir]);
    await writeFile(await packages.fetch(params(dir), options), 'something else');
    await expect(packages.verify(params(dir))).rejects.toMatchObject({ code: 'ChecksumMismatch' });
    await packages.fetch(params(dir), options);
    await packages.verify(params(dir));
  });
});

describe('a package comes over http', () => {
  it('below an allowed address, once', async () => {
    let requests = 0;
    await using server = await serve((_, response) => {
      requests += 1;
      response.end(CONTENT);
    });
    const packages = source([`${server.url}/releases`]);
    await packages.fetch(params(`${server.url}/releases/wealth/`), options);
    await packages.fetch(params(`${server.url}/releases/wealth`), options);
    expect(requests).toBe(1);
    await rm(join(dir, 'downloads'), { recursive: true });
    for (const path of [
      server.url,
      `${server.url}/releases-else`,
      `${server.url}/releases/../secret`,
      `${server.url}/releases/%2e%2e/secret`,
      `${server.url}/releases/..%2fsecret`,
      server.url.replace('//', '//user:pass@') + '/releases',
      'http://localhost:1/releases',
    ]) {
      await expect(packages.fetch(params(path), options)).rejects.toMatchObject({
        code: 'PackageNotAllowed',
      });
    }
    expect(requests).toBe(1);
  });

  it('over redirects, each of which is checked', async () => {
    await using other = await serve((_, response) => response.end(CONTENT));
    await using server = await serve((request, response) => {
      const to = request.url === '/a/p.tgz' ? '/b/p.tgz' : `${other.url}/c/p.tgz`;
      response.writeHead(302, { location: to }).end();
    });
    await source([`${server.url}/`, other.url]).fetch(params(`${server.url}/a`), options);
    await rm(join(dir, 'downloads'), { recursive: true });
    await expect(source([server.url]).fetch(params(`${server.url}/a`), options)).rejects.toMatchObject({
      code: 'PackageNotAllowed',
    });
  });

  it('and is missing where the server has none, ends early, or does not answer', async () => {
    await using server = await serve((request, response) => {
      if (request.url === '/short/p.tgz') {
        response.writeHead(200, { 'content-length': '1000' });
        response.write(CONTENT);
        response.socket?.destroySoon();
      } else response.writeHead(404).end();
    });
    const packages = source([server.url, 'http://127.0.0.1:1']);
    for (const path of [`${server.url}/none`, `${server.url}/short`, 'http://127.0.0.1:1/']) {
      await expect(packages.fetch(params(path), options)).rejects.toMatchObject({ code: 'PackageMissing' });
    }
    expect(await readdir(join(dir, 'downloads'))).toEqual([]);
  });

  it('and is cut off at the first byte too many, however much is sent', async () => {
    await using server = await serve((_, response) => {
      const send = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1000)));
      };
      response.on('drain', send);
      send();
    });
    await expect(source([server.url]).fetch(params(server.url), options)).rejects.toMatchObject({
      code: 'PackageUnsafe',
    });
  });
});
