#!/usr/bin/env node
import { runCli } from './cli/program.ts';

const { env, stdout: out, stderr: err } = process;
process.exitCode = await runCli(process.argv.slice(2), { env, out, err });
