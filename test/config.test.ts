import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { connectTemporal } from '../src/temporal.ts';

const SECRET = 'a-secret-of-some-length';

describe('the configuration from the environment', () => {
  it('has defaults for one machine', () => {
    expect(readConfig({})).toEqual({
      temporal: { address: '127.0.0.1:7233', namespace: 'default' },
      controller: { url: 'http://127.0.0.1:7400' },
      logLevel: 'info',
    });
  });

  it('takes empty variables for absent ones, as docker compose hands them over', () => {
    expect(readConfig({ TEMPORAL_ADDRESS: '', CHANGEOVER_AGENT_TOKEN: '' })).toEqual(readConfig({}));
  });

  it('names everything that is wrong at once, and repeats no secret', () => {
    const wrong = {
      TEMPORAL_ADDRESS: 'localhost',
      CHANGEOVER_CONTROLLER_URL: 'ftp://controller',
      CHANGEOVER_AGENT_TOKEN: 'shh short',
      LOG_LEVEL: 'loud',
    };
    expect(() => readConfig(wrong)).toThrow(
      expect.objectContaining({ code: 'InvalidRequest', details: expect.any(Array) as unknown }),
    );
    try {
      readConfig(wrong);
    } catch (error) {
      const { message } = error as Error;
      for (const name of Object.keys(wrong)) expect(message).toContain(name);
      expect(message).toContain('"loud"');
      expect(message).not.toContain('shh');
    }
  });

  it('reads secrets from files, without the line end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'changeover-config-'));
    try {
      const file = join(folder, 'token');
      await writeFile(file, `${SECRET}\n`);
      expect(readConfig({ CHANGEOVER_CONTROLLER_TOKEN_FILE: file }).controller.token).toBe(SECRET);
      expect(() =>
        readConfig({ CHANGEOVER_CONTROLLER_TOKEN_FILE: file, CHANGEOVER_CONTROLLER_TOKEN: SECRET }),
      ).toThrow(/both set/);
      expect(() => readConfig({ CHANGEOVER_GATEWAY_TOKEN_FILE: join(folder, 'none') })).toThrow(
        /cannot be read/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('connecting to Temporal', () => {
  it('says what to do where nobody answers', async () => {
    // Port 9 (discard) is not listened on anywhere that this runs.
    await expect(connectTemporal({ TEMPORAL_ADDRESS: '127.0.0.1:9' })).rejects.toThrow(
      /set TEMPORAL_ADDRESS/,
    );
  }, 30_000);

  it('refuses TLS files that are not there, before it connects', async () => {
    await expect(
      connectTemporal({
        TEMPORAL_TLS_CLIENT_CERT_PATH: '/none.pem',
        TEMPORAL_TLS_CLIENT_KEY_PATH: '/none.key',
      }),
    ).rejects.toThrow(/TEMPORAL_… variables/);
  });
});
