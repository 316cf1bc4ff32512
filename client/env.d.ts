/** For tools that read only TypeScript, such as the linter; vue-tsc knows the real types. */
declare module '*.vue' {
  import type { Component } from 'vue'

  const component: Component
  export default component
}

/** Provided by plugins/code.ts. */
declare module '*?code' {
  // Import declarations cannot be relative here.
  // eslint-disable-next-line @typescript-eslint/consistent-type-imports
  const code: import('./site/code').Code
  export default code
}
