import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startController } from '../controller/running-controller.ts';
import { runCaptured } from './captured-context.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/example-plan.yaml', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function planFile(change: (text: string) => string): Promise<string> {
  const file = join(folder, 'plan.yaml');
  await writeFile(file, change(await readFile(EXAMPLE, 'utf8')));
  return file;
}

describe('changeover validate', () => {
  test('says what a right plan does', async () => {
    expect(await runCaptured(['validate', EXAMPLE])).toEqual({
      exitCode: 0,
      out: 'The plan is right: wealth from 1.4 to the best of 2.0-a, 2.0-b, on 9 servers.\n',
      err: '',
    });
  });

  test('names all problems of a wrong plan at once and exits with 2', async () => {
    const file = await planFile((text) =>
      text.replace('kind: tail', 'kind: tial').replace('minSamples', 'minSampels').replace('green', 'gren'),
    );
    const { exitCode, out, err } = await runCaptured(['validate', file]);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toContain('traffic.policy.kind held "tial"; it must be one of tail, range, values or hash.');
    expect(err).toContain('Did you mean minSamples?');
    expect(err).toContain('deployment.second-page held "gren"');
  });

  test('answers with JSON for scripts, problems and all', async () => {
    expect(JSON.parse((await runCaptured(['validate', '--json', EXAMPLE])).out)).toEqual({
      ok: true,
      problems: [],
    });
    const file = await planFile((text) => text.replace('readEvery: 30s', 'readEvery: often'));
    const { exitCode, out } = await runCaptured(['validate', '--json', file]);
    expect(exitCode).toBe(2);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: [{ field: 'trial.readEvery', held: '"often"' }],
    });
  });

  test('names line and column of what is no YAML', async () => {
    const file = await planFile((text) => text.replace('service: wealth', 'service: [wealth'));
    const { exitCode, err } = await runCaptured(['validate', file]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/plan\.yaml cannot be read:[^]*line \d+, column \d+/);
  });

  test('says why a file cannot be read', async () => {
    const { exitCode, err } = await runCaptured(['validate', join(folder, 'none.yaml')]);
    expect({ exitCode, err }).toMatchObject({ exitCode: 2, err: expect.stringContaining('ENOENT') });
  });
});

test('changeover schema prints the committed JSON Schema', async () => {
  const committed = await readFile(new URL('../../deploy/plan.schema.json', import.meta.url), 'utf8');
  expect((await runCaptured(['schema'])).out).toBe(committed);
});

test('changeover start checks the plan before it connects to anything', async () => {
  const file = await planFile((text) => text.replace('service: wealth', 'service: Wealth'));
  const { exitCode, err } = await runCaptured(['start', file], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
  expect(exitCode).toBe(2);
  expect(err).toContain('service held "Wealth"');
});

test('changeover adopt says when the flow controller does not answer, and what to do', async () => {
  const env = { CHANGEOVER_CONTROLLER_URL: 'http://127.0.0.1:1' };
  const { exitCode, err } = await runCaptured(['adopt', EXAMPLE], env);
  expect(exitCode).toBe(4);
  expect(err).toMatch(/the flow controller[^]*`changeover controller`[^]*CHANGEOVER_CONTROLLER_URL/);
});

test('changeover adopt says when nothing changed, and what the plan says otherwise', async () => {
  await using controller = await startController({ stateDir: folder });
  const env = { CHANGEOVER_CONTROLLER_URL: controller.url };
  const adopt = (file: string) => runCaptured(['adopt', file], env);
  expect(await adopt(EXAMPLE)).toMatchObject({
    exitCode: 0,
    out: 'wealth is under management; its route table is at version 1.\n',
  });
  expect((await adopt(EXAMPLE)).out).toBe(
    'wealth is already under management, nothing changed; its route table is at version 1.\n',
  );
  const otherwise = await planFile((text) => text.replace('name: gw-1', 'name: gw-9'));
  expect((await adopt(otherwise)).out).toMatch(
    /nothing changed[^]*not changed either:\n {2}- gateways: [^-]*-gateway/,
  );
});
