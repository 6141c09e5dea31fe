import { userInfo } from 'node:os';
import { Option } from 'commander';

/** Who sends a signal: it stands in the timeline and in the report. */
export function byOption(env: NodeJS.ProcessEnv): Option {
  const option = new Option('--by <name>', 'who does this, for the record');
  return option.default(env['USER'] ?? env['USERNAME'] ?? userInfo().username, '$USER');
}
