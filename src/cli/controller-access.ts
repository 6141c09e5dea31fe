import { createFlowController } from '../adapters/flow-controller.ts';
import { readConfig } from '../config.ts';
import { ChangeoverError } from '../domain/errors.ts';

type FlowController = ReturnType<typeof createFlowController>;

/**
 * One call of the flow controller that the environment names.
 *
 * @throws ChangeoverError `ControllerUnreachable` that says what to do; else what the controller answered.
 */
export async function askController<Answer>(
  env: NodeJS.ProcessEnv,
  call: (controller: FlowController) => Promise<Answer>,
): Promise<Answer> {
  const { controller } = readConfig(env);
  try {
    return await call(createFlowController(controller));
  } catch (error) {
    if (!(error instanceof ChangeoverError) || error.code !== 'ControllerUnreachable') throw error;
    throw new ChangeoverError(
      'ControllerUnreachable',
      `${error.message}\nStart it (\`changeover controller\`), or set CHANGEOVER_CONTROLLER_URL to where it runs.`,
      { cause: error },
    );
  }
}
