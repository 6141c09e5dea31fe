// Writes .env for docker-compose.yml with fresh tokens and a database password; an existing one is left alone.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SECRETS = [
  'CHANGEOVER_CONTROLLER_TOKEN',
  'CHANGEOVER_GATEWAY_TOKEN',
  'CHANGEOVER_AGENT_TOKEN',
  'POSTGRES_PASSWORD',
];
const file = join(dirname(dirname(fileURLToPath(import.meta.url))), '.env');

try {
  const lines = SECRETS.map((name) => `${name}=${randomBytes(24).toString('hex')}\n`);
  writeFileSync(file, lines.join(''), { flag: 'wx', mode: 0o600 });
  console.log(`${file} has fresh tokens.`);
} catch (error) {
  if (error.code !== 'EEXIST') throw error;
  console.log(`${file} is there already and stays as it is.`);
}
