// Stands for any software: it knows nothing of Changeover. `release.json` beside it says how it behaves.
import { appendFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const release = JSON.parse(readFileSync('release.json', 'utf8'));
const world = process.env.WORLD;
const running = join(world, 'running');
mkdirSync(running, { recursive: true });
for (const name of readdirSync(running)) {
  const [pid, version] = name.split('_');
  if (isAlive(pid)) appendFileSync(join(world, 'violations'), `${release.version} beside ${version}\n`);
}
writeFileSync(join(running, `${process.pid}_${release.version}`), '');
appendFileSync(join(world, 'starts'), `${release.version}\n`);

console.log(`version ${release.version} begins`);
if (release.behaviour === 'crash') {
  console.error('cannot reach the ledger');
  process.exit(3);
}
if (release.behaviour === 'ignoreTerm') process.on('SIGTERM', () => console.log('not now'));

if (release.behaviour === 'hang') {
  console.log('waiting for something that never comes');
  setInterval(() => undefined, 1000);
} else {
  createServer((request, response) => {
    if (request.url === '/crash') process.exit(1);
    if (request.url === '/hold') response.flushHeaders();
    else response.end(request.url === '/in-flight' ? '{"inFlight":7}' : release.version);
  }).listen(Number(process.env.PORT), '127.0.0.1');
}

function isAlive(pid) {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
