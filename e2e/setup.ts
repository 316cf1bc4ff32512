import { compiledPage } from '../server/page'

/** The page that all browser tests open, compiled once. */
export default async function setup(): Promise<void> {
  await (await compiledPage()).close()
}
