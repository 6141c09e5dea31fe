import { readdirSync } from 'node:fs';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

/** Without types: the files need not exist then, and the import rules do not ask for them. */
const eslint = new ESLint({ overrideConfig: { files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked } });

/** Messages of the restricting rules for a file of the layer with these contents. */
async function importErrors(layer: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: `src/${layer}/example.ts` });
  return (result?.messages ?? [])
    .filter(({ ruleId }) => ruleId === null || ruleId.includes('restricted'))
    .map(({ message }) => message);
}

describe('the lint rules of the layout', () => {
  it('let the domain import itself and its few packages', async () => {
    expect(
      await importErrors(
        'domain',
        `import { z } from 'zod';\nimport { o } from './measure.ts';\nz.any(o);\n`,
      ),
    ).toEqual([]);
  });

  it.each([
    [
      'a port',
      `import type { ServerAgent } from '../ports/server-agent.ts';\nexport type A = ServerAgent;\n`,
    ],
    ['a protocol', `import { errorBodySchema } from '../protocol/errors.ts';\nerrorBodySchema.parse(1);\n`],
    ['a Node module', `import { readFileSync } from 'node:fs';\nreadFileSync('a');\n`],
    ['a package with I/O', `import { fetch } from 'undici';\nawait fetch('http://a');\n`],
    ['the clock', `export const now = Date.now();\n`],
  ])('flag %s in the domain', async (_what, text) => {
    const errors = await importErrors('domain', text);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/pure/);
  });

  it('say what to do instead', async () => {
    const [error] = await importErrors(
      'domain',
      `import { readFileSync } from 'node:fs';\nreadFileSync('a');\n`,
    );
    expect(error).toContain('do I/O in src/activities or src/adapters');
  });

  it('let ports name the types of a protocol, not its values', async () => {
    expect(await importErrors('ports', `export type { AgentStatus } from '../protocol/agent.ts';\n`)).toEqual(
      [],
    );
    expect(
      await importErrors(
        'ports',
        `import { agentStatusSchema } from '../protocol/agent.ts';\nagentStatusSchema.parse(1);\n`,
      ),
    ).toEqual([expect.stringMatching(/import type/)]);
  });

  it.each(['gateway', 'agent', 'controller', 'adapters', 'protocol', 'domain'])(
    'keep Temporal out of src/%s',
    async (layer) => {
      const errors = await importErrors(
        layer,
        `import { Client } from '@temporalio/client';\nnew Client();\n`,
      );
      expect(errors).toHaveLength(1);
    },
  );

  it('keep the client and Node out of workflows, and code of activities', async () => {
    const forbidden = [
      `import { Client } from '@temporalio/client';\nnew Client();\n`,
      `import { readFileSync } from 'node:fs';\nreadFileSync('a');\n`,
      `import { createActivities } from '../activities/create-activities.ts';\ncreateActivities();\n`,
    ];
    for (const text of forbidden) expect(await importErrors('workflows', text), text).toHaveLength(1);
    expect(
      await importErrors('workflows', `import { sleep } from '@temporalio/workflow';\nawait sleep(1);\n`),
    ).toEqual([]);
  });

  it('keep adapters out of activities', async () => {
    const adapter = readdirSync('src/adapters', { recursive: true, encoding: 'utf8' }).find((f) =>
      f.endsWith('.ts'),
    );
    const errors = await importErrors(
      'activities',
      `import * as a from '../adapters/${adapter}';\nexport { a };\n`,
    );
    expect(errors).toEqual([expect.stringMatching(/add what it needs to a port/)]);
  });

  it('keep tests and demo out of the product', async () => {
    const errors = await importErrors(
      'protocol',
      `import { requireComponent } from '../../test/support/require-component.ts';\nrequireComponent();\n`,
    );
    expect(errors).toEqual([expect.stringMatching(/does not know its tests/)]);
  });
});
