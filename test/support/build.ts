import { execFileSync } from 'node:child_process';

/** Global set-up of the projects that start real processes: what they start is built from the sources as they are now. */
export default function setup(): void {
  execFileSync(process.execPath, ['scripts/ensure.mjs'], { stdio: 'inherit' });
}
