import { pino } from 'pino';
import { createAgent } from '../../src/agent/agent.ts';
import { loadAgentConfig } from '../../src/agent/config.ts';

/** An agent in a process of its own, which kills itself (-9) at the checkpoint that `KILL_AT` names. */
const agent = createAgent(await loadAgentConfig(process.argv[2] ?? ''), {
  logger: pino({ level: 'silent' }),
  checkpoint: (name) => {
    if (name === process.env.KILL_AT) process.kill(process.pid, 'SIGKILL');
  },
});
const { url } = await agent.start();
console.log(url);
