export interface Settings {
  port: number
  host: string
}

/** A setting that cannot be used. The message names it, its limits and the mend, in one line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

/** Reads every setting there is from the environment. @throws SettingsError */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    port: integer(env, 'PORT', { fallback: 3000, min: 0, max: 65_535 }),
    host: env['HOST'] || '127.0.0.1',
  }
}

function integer(
  env: NodeJS.ProcessEnv,
  name: string,
  { fallback, min, max }: { fallback: number; min: number; max: number },
): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new SettingsError(
      `${name} must be an integer from ${min} to ${max}, not "${text}". Without it, ${fallback} is used.`,
    )
  return value
}
