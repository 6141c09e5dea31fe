import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const folders = ['src', 'demo', 'bench', 'test', 'scripts'].filter((folder) => existsSync(folder));
const files = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|js|mjs)$/.test(file))
    .map((file) => join(folder, file)),
);

describe('the files of the repository', () => {
  it('are named after one noun in kebab-case', () => {
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.config)?\.(ts|js|mjs)$/;
    expect(files.filter((file) => !kebab.test(basename(file)))).toEqual([]);
  });

  it('are not drawers for whatever has no place', () => {
    const drawers = /^(utils?|helpers?|types?|common|misc|index)\.(ts|js|mjs)$/;
    const found = files.filter((file) => drawers.test(basename(file)));
    // The entry that the workflow bundle is made from.
    expect(found.filter((file) => file !== join('src', 'workflows', 'index.ts'))).toEqual([]);
  });

  it('say why wherever they switch a check off', () => {
    const silent = files.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .map((line, index) => ({ line, place: `${file}:${index + 1}` }))
        .filter(
          ({ line }) => /(\/\/|\/\*) (eslint-disable|prettier-ignore)/.test(line) && !line.includes(' -- '),
        )
        .map(({ place }) => place),
    );
    expect(silent).toEqual([]);
  });
});

describe('the lockfile', () => {
  it('knows the optional packages of every platform, without which `npm ci` fails there', () => {
    const schema = z.object({
      packages: z.record(
        z.string(),
        z.object({ optionalDependencies: z.record(z.string(), z.string()).optional() }),
      ),
    });
    const { packages } = schema.parse(JSON.parse(readFileSync('package-lock.json', 'utf8')));
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});
